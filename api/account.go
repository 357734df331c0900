package api

// Registration is the body of POST /auth/register. Empty optional texts count
// as absent, because existing forms send every field.
type Registration struct {
	Email            string `json:"email" format:"email" maxLength:"254" doc:"Compared without case."`
	Password         string `json:"password" minLength:"6" maxLength:"256"`
	Name             string `json:"name" minLength:"1" maxLength:"200"`
	Role             string `json:"role" enum:"DONOR,NGO,VOLUNTEER,ADMIN" doc:"ADMIN is refused with 403."`
	Phone            string `json:"phone,omitempty" maxLength:"50"`
	OrganizationName string `json:"organizationName,omitempty" maxLength:"200"`
	OrganizationType string `json:"organizationType,omitempty" maxLength:"200"`
	Address          string `json:"address,omitempty" maxLength:"500"`
	CertificateURL   string `json:"certificateUrl,omitempty" maxLength:"2048" doc:"http and https only. A file is sent as certificate in multipart/form-data."`
}

// Login is the body of POST /auth/login.
type Login struct {
	Email    string `json:"email" minLength:"1" maxLength:"254"`
	Password string `json:"password" minLength:"1" maxLength:"256"`
}

// Session is what register and login answer with, in an Envelope.
type Session struct {
	Token string `json:"token"`
	User  User   `json:"user"`
}

// User is an account as everybody may see it. It can hold no secret.
type User struct {
	ID         string `json:"id"`
	Email      string `json:"email"`
	Name       string `json:"name"`
	Role       string `json:"role" enum:"DONOR,NGO,VOLUNTEER,ADMIN"`
	IsVerified bool   `json:"isVerified"`
}

// Profile is an account as its owner sees it.
type Profile struct {
	User
	OrganizationName    *string  `json:"organizationName"`
	OrganizationType    *string  `json:"organizationType"`
	Phone               *string  `json:"phone"`
	Address             *string  `json:"address"`
	Latitude            *float64 `json:"latitude"`
	Longitude           *float64 `json:"longitude"`
	IsActive            bool     `json:"isActive"`
	DailyIntakeCapacity *float64 `json:"dailyIntakeCapacity"`
	CurrentIntakeLoad   float64  `json:"currentIntakeLoad" doc:"In capacityUnit; starts at 0 each day."`
	CapacityUnit        *string  `json:"capacityUnit"`
	CertificateURL      *string  `json:"certificateUrl" doc:"A link to a file is good for ten minutes."`
	VehicleType         *string  `json:"vehicleType"`
	VehicleNumber       *string  `json:"vehicleNumber"`
	IsAvailable         bool     `json:"isAvailable"`
	TrustScore          float64  `json:"trustScore"`
	KarmaPoints         int      `json:"karmaPoints"`
	Badges              []string `json:"badges"`
	BadgeCatalog        []Badge  `json:"badgeCatalog"`
	Level               int      `json:"level"`
	NextLevelPoints     int      `json:"nextLevelPoints" doc:"Points still missing; 0 at the highest level."`
	CreatedAt           Time     `json:"createdAt"`
	UpdatedAt           Time     `json:"updatedAt"`

	ImpactStats ImpactStats `json:"impactStats"`
}

// Badge is one entry of the catalogue that a profile carries.
type Badge struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Icon        string `json:"icon"`
	Description string `json:"description"`
	Earned      bool   `json:"earned"`
	Requirement int    `json:"requirement" doc:"Karma points."`
}

// ProfileUpdate is the body of PATCH /auth/profile; absent fields stay. null takes a
// number away, and an empty text a text; else null is as good as absent.
type ProfileUpdate struct {
	Name                *string           `json:"name,omitempty" minLength:"1" maxLength:"200"`
	Phone               *string           `json:"phone,omitempty" maxLength:"50"`
	OrganizationName    *string           `json:"organizationName,omitempty" maxLength:"200"`
	OrganizationType    *string           `json:"organizationType,omitempty" maxLength:"200"`
	Address             *string           `json:"address,omitempty" maxLength:"500"`
	Latitude            Nullable[float64] `json:"latitude,omitzero" minimum:"-90" maximum:"90" doc:"With longitude: both numbers, or both null for no place."`
	Longitude           Nullable[float64] `json:"longitude,omitzero" minimum:"-180" maximum:"180"`
	DailyIntakeCapacity Nullable[float64] `json:"dailyIntakeCapacity,omitzero" minimum:"0" maximum:"1000000" doc:"null is no limit."`
	CapacityUnit        *string           `json:"capacityUnit,omitempty" maxLength:"200"`
	VehicleType         *string           `json:"vehicleType,omitempty" maxLength:"200"`
	VehicleNumber       *string           `json:"vehicleNumber,omitempty" maxLength:"50"`
	IsAvailable         *bool             `json:"isAvailable,omitempty" doc:"Whether a volunteer takes trips now; kept for the other roles, and of no effect there."`
}

// PendingNGO is an NGO that waits for verification, as GET /admin/pending-ngos
// lists it.
type PendingNGO struct {
	ID               string  `json:"id"`
	Email            string  `json:"email"`
	Name             string  `json:"name"`
	OrganizationName *string `json:"organizationName"`
	Phone            *string `json:"phone"`
	Address          *string `json:"address"`
	CertificateURL   *string `json:"certificateUrl" doc:"A link to a file is good for ten minutes."`
	CreatedAt        Time    `json:"createdAt"`
}

// AdminUser is an account as GET /admin/users lists it.
type AdminUser struct {
	ID               string  `json:"id"`
	Email            string  `json:"email"`
	Role             string  `json:"role" enum:"DONOR,NGO,VOLUNTEER,ADMIN"`
	IsVerified       bool    `json:"isVerified"`
	IsActive         bool    `json:"isActive"`
	Name             string  `json:"name"`
	OrganizationName *string `json:"organizationName"`
	CreatedAt        Time    `json:"createdAt"`
}

// Verified answers PATCH /admin/verify/:id.
type Verified struct {
	Message string `json:"message"`
	User    User   `json:"user"`
}

// Toggled answers PATCH /admin/users/:id/toggle-status.
type Toggled struct {
	Message  string `json:"message"`
	IsActive bool   `json:"isActive"`
}

// Envelope wraps the few answers that existing clients expect wrapped.
type Envelope[T any] struct {
	Success bool   `json:"success"`
	Data    T      `json:"data"`
	Message string `json:"message,omitempty"`
}
