package movein_test

// schema is what TypeORM makes of the old backend's entities.
const schema = `
CREATE TYPE user_role_enum AS ENUM ('DONOR', 'NGO', 'VOLUNTEER', 'ADMIN');
CREATE TYPE donation_status_enum AS ENUM ('AVAILABLE', 'CLAIMED', 'PICKED_UP', 'DELIVERED', 'EXPIRED');
CREATE TYPE ticket_status_enum AS ENUM ('OPEN', 'IN_PROGRESS', 'RESOLVED', 'CLOSED');
CREATE TYPE ticket_priority_enum AS ENUM ('LOW', 'MEDIUM', 'HIGH', 'CRITICAL');
CREATE TYPE flag_status_enum AS ENUM ('FLAGGED', 'APPROVED', 'REJECTED', 'ESCALATED');
CREATE TABLE "user" (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(), email varchar NOT NULL UNIQUE, password varchar NOT NULL,
	role user_role_enum NOT NULL DEFAULT 'DONOR', "isVerified" boolean NOT NULL DEFAULT false, "isActive" boolean NOT NULL DEFAULT true,
	name varchar NOT NULL, "organizationName" varchar, "organizationType" varchar, phone varchar, address varchar,
	latitude double precision, longitude double precision, "dailyIntakeCapacity" double precision,
	"currentIntakeLoad" double precision NOT NULL DEFAULT 0, "capacityUnit" varchar, "certificateUrl" varchar,
	"vehicleType" varchar, "vehicleNumber" varchar, "isAvailable" boolean NOT NULL DEFAULT false,
	"trustScore" double precision NOT NULL DEFAULT 0, "karmaPoints" integer NOT NULL DEFAULT 0, badges text NOT NULL DEFAULT '',
	"createdAt" timestamp NOT NULL DEFAULT now(), "updatedAt" timestamp NOT NULL DEFAULT now());
CREATE TABLE donation (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name varchar NOT NULL, "donorName" varchar NOT NULL, description varchar, hygiene text,
	"donorTrustScore" double precision, "foodType" varchar NOT NULL, quantity numeric(10,2) NOT NULL, unit varchar NOT NULL,
	"preparationTime" varchar NOT NULL, latitude double precision NOT NULL, longitude double precision NOT NULL, address varchar,
	"imageUrls" text, "specialInstructions" varchar, status donation_status_enum NOT NULL DEFAULT 'AVAILABLE',
	"donorId" uuid NOT NULL REFERENCES "user" (id), "claimedById" varchar, "volunteerId" varchar, "expiryTime" timestamp,
	"pickedUpAt" timestamp, "deliveredAt" timestamp, "createdAt" timestamp NOT NULL DEFAULT now());
CREATE TABLE donation_feedback (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(), rating integer NOT NULL, comment text, "donationId" uuid NOT NULL REFERENCES donation (id),
	"ngoId" uuid NOT NULL REFERENCES "user" (id), "createdAt" timestamp NOT NULL DEFAULT now());
CREATE TABLE user_notification (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(), "userId" uuid NOT NULL REFERENCES "user" (id), title varchar NOT NULL, message text NOT NULL,
	type varchar NOT NULL DEFAULT 'new_food_nearby', read boolean NOT NULL DEFAULT false, "createdAt" timestamp NOT NULL DEFAULT now());
CREATE TABLE support_ticket (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(), "userId" varchar NOT NULL, "userEmail" varchar NOT NULL, "userName" varchar NOT NULL,
	subject varchar NOT NULL, description text NOT NULL, status ticket_status_enum NOT NULL DEFAULT 'OPEN',
	priority ticket_priority_enum NOT NULL DEFAULT 'MEDIUM', "adminNote" varchar,
	"createdAt" timestamp NOT NULL DEFAULT now(), "updatedAt" timestamp NOT NULL DEFAULT now());
CREATE TABLE flagged_donation (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(), "donationId" varchar NOT NULL, "donationName" varchar NOT NULL,
	"reportedByUserId" varchar NOT NULL, "reportedByEmail" varchar NOT NULL, reason text NOT NULL,
	status flag_status_enum NOT NULL DEFAULT 'FLAGGED', "adminNote" varchar,
	"createdAt" timestamp NOT NULL DEFAULT now(), "updatedAt" timestamp NOT NULL DEFAULT now());
`

// id makes the UUIDs below readable: u(1) is a user, d(1) a donation.
const rows = `
CREATE FUNCTION u(n int) RETURNS uuid LANGUAGE sql AS $$ SELECT ('00000000-0000-4000-8000-0000000000' || lpad(n::text, 2, '0'))::uuid $$;
CREATE FUNCTION d(n int) RETURNS uuid LANGUAGE sql AS $$ SELECT ('00000000-0000-4000-9000-0000000000' || lpad(n::text, 2, '0'))::uuid $$;
INSERT INTO "user" (id, email, password, role, "isVerified", name, "organizationName", latitude, longitude, "karmaPoints", "createdAt", "updatedAt") VALUES
	(u(1), 'ann@example.org', '{hash}', 'DONOR', false, 'Ann', 'Green Cafe', 12.9, 77.5, 190, '2026-01-01 10:00:00.123', '2026-01-02 10:00'),
	(u(2), 'kitchen@example.org', '{hash}', 'NGO', true, 'Kim', 'Helping Hands', NULL, NULL, 30, '2026-01-01 11:00', '2026-01-01 11:00'),
	(u(3), 'vic@example.org', '{long}', 'VOLUNTEER', false, 'Vic', NULL, 999, 5, 50, '2026-01-01 12:00', '2026-01-01 12:00'),
	(u(4), 'Boss@example.org', '{hash}', 'ADMIN', true, 'Boss', NULL, NULL, NULL, 0, '2026-01-01 13:00', '2026-01-01 13:00'),
	(u(5), 'mallory@example.org', '{hash}', 'ADMIN', false, 'Mallory', NULL, NULL, NULL, 0, '2026-02-01 10:00', '2026-02-01 10:00'),
	(u(6), 'ANN@example.org', '{other}', 'DONOR', false, ' ', NULL, NULL, NULL, 10, '2026-02-02 10:00', '2026-02-02 10:00'),
	(u(7), 'new-ngo@example.org', 'plain', 'NGO', false, 'New', NULL, NULL, NULL, 0, '2026-02-03 10:00', '2026-02-03 10:00');
UPDATE "user" SET "isActive" = false, "dailyIntakeCapacity" = -5 WHERE id = u(7);
UPDATE "user" SET "dailyIntakeCapacity" = 100, "capacityUnit" = 'kg', "currentIntakeLoad" = 555, "certificateUrl" = 'https://res.example/c.pdf' WHERE id = u(2);
UPDATE "user" SET "certificateUrl" = 'javascript:alert(2)' WHERE id = u(7);
INSERT INTO donation (id, name, "donorName", hygiene, "foodType", quantity, unit, "preparationTime", latitude, longitude, "imageUrls", status, "donorId", "claimedById", "volunteerId", "expiryTime", "pickedUpAt", "deliveredAt", "createdAt") VALUES
	(d(1), 'Bread', 'Green Cafe', '{"keptCovered":true}', 'bakery', 5, 'kg', '2026-11-23T06:43:22.613Z', 12.97, 77.59, 'https://img.example/w_300,h_200,/a.jpg,https://img.example/b.jpg', 'AVAILABLE', u(1), NULL, NULL, '2099-01-01 10:00', NULL, NULL, '2026-03-01 10:00'),
	(d(2), 'Rice', 'Green Cafe', '{bad', 'cooked', 2.5, 'kg', '2026-03-01', 999, 77.59, 'javascript:alert(1),https://img.example/c.jpg', 'CLAIMED', u(1), u(2), NULL, '2099-01-01 10:00', NULL, NULL, '2026-03-02 10:00'),
	(d(3), 'Soup', 'Green Cafe', NULL, 'cooked', 3, 'kg', 'Mon Nov 23 2026 06:43:22 GMT+0000 (Coordinated Universal Time)', 12.97, 77.59, NULL, 'PICKED_UP', u(1), u(2), u(3), '2099-01-01 10:00', '2026-03-03 11:00', NULL, '2026-03-03 10:00'),
	(d(4), 'Milk', 'Green Cafe', '["x"]', 'dairy', 4, 'liters', '1774000000000', 12.97, 77.59, NULL, 'DELIVERED', u(1), u(2), u(3), '2026-03-05 10:00', '2026-03-04 11:00', '2026-03-04 12:00', '2026-03-04 10:00'),
	(d(5), 'Farmed', 'Green Cafe', NULL, 'raw', 1, 'kg', 'yesterday', 12.97, 77.59, NULL, 'DELIVERED', u(1), NULL, NULL, NULL, NULL, '2026-03-05 12:00', '2026-03-05 10:00'),
	(d(6), 'Old', 'Green Cafe', NULL, 'raw', 1, 'kg', '2026-03-01', 12.97, 77.59, NULL, 'CLAIMED', u(1), u(2), NULL, '2026-03-06 10:00', NULL, NULL, '2026-03-05 11:00'),
	(d(7), '', '', NULL, 'raw', 1, 'kg', '2026-03-01', 12.97, 77.59, NULL, 'CLAIMED', u(1), 'stranger', 'no uuid', '2099-01-01', NULL, NULL, '2026-03-05 12:00'),
	(d(8), 'Nowhere', 'x', NULL, 'raw', 1, 'kg', '2026-03-01', 999, 999, NULL, 'AVAILABLE', u(5), NULL, NULL, '2099-01-01', NULL, NULL, '2026-03-05 13:00'),
	(d(9), 'Mountain', 'x', NULL, 'raw', 9000000, 'kg', '2026-03-01', 1, 1, NULL, 'AVAILABLE', u(1), NULL, NULL, '2099-01-01', NULL, NULL, '2026-03-05 14:00');
INSERT INTO donation_feedback (id, rating, comment, "donationId", "ngoId", "createdAt") VALUES
	(d(21), 4, 'good', d(4), u(2), '2026-03-06 10:00'), (d(22), 1, 'again', d(4), u(2), '2026-03-06 10:01'), (d(23), 9, NULL, d(1), u(2), '2026-03-06 10:02'),
	(d(24), 1, 'not mine', d(4), u(7), '2026-03-05 10:00');
INSERT INTO support_ticket (id, "userId", "userEmail", "userName", subject, description, status, priority, "adminNote") VALUES
	(d(31), u(1)::text, 'x', 'x', 'Help', 'me', 'RESOLVED', 'CRITICAL', 'done'), (d(32), 'nobody', 'x', 'x', 'Lost', 'me', 'OPEN', 'LOW', NULL);
INSERT INTO flagged_donation (id, "donationId", "donationName", "reportedByUserId", "reportedByEmail", reason) VALUES
	(d(41), d(1)::text, 'Bread', u(4)::text, 'x', 'smells'), (d(42), d(1)::text, 'Bread', u(4)::text, 'x', 'still smells');
INSERT INTO user_notification (id, "userId", title, message, type, read, "createdAt") VALUES
	(d(51), u(2), 'New food', 'Bread', 'new_food_nearby', true, '2026-03-01 10:00'), (d(52), u(2), 'New food', 'Rice', 'new_food_nearby', false, '2026-03-02 10:00'),
	(d(53), u(2), 'Claimed', 'Your donation', 'food_claimed', false, '2026-03-02 11:00'), (d(54), u(1), 'New food', 'Bread', 'new_food_nearby', false, '2026-03-01 10:00');
`
