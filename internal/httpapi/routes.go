package httpapi

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"larder/api"
)

// routes is the whole surface.
func (a *API) routes(h huma.API) {
	const (
		get   = http.MethodGet
		post  = http.MethodPost
		patch = http.MethodPatch
	)
	route(a, h, anyone, post, "/auth/register", "Register an account", a.register, takes[api.Registration](a, h, a.registrationForm))
	route(a, h, anyone, post, "/auth/login", "Sign in", a.login)
	route(a, h, signedIn, get, "/auth/profile", "The caller's profile", a.profile)
	route(a, h, signedIn, patch, "/auth/profile", "Change the caller's profile", a.updateProfile)

	route(a, h, anyone, get, "/donations", "Donations, newest first", a.listDonations, also(bareList))
	route(a, h, signedIn, post, "/donations", "List surplus food", a.createDonation, takes[api.DonationDraft](a, h, a.donationForm))
	route(a, h, signedIn, get, "/donations/{id}", "One donation", a.getDonation)
	route(a, h, signedIn, get, "/donations/{id}/history", "What happened to a donation, oldest first", a.history)
	route(a, h, signedIn, patch, "/donations/{id}/claim", "Claim a donation", a.claim)
	route(a, h, signedIn, patch, "/donations/{id}/release", "Give a claim back", a.release)
	route(a, h, signedIn, patch, "/donations/{id}/status", "Change the status: the wanted status names the command", a.changeStatus)
	route(a, h, signedIn, patch, "/donations/{id}/deliver", "Deliver a donation", a.deliver)
	route(a, h, signedIn, patch, "/donations/{id}/cancel", "Cancel a donation, with a reason", a.cancel)

	route(a, h, signedIn, get, "/donations/my-deliveries", "What the caller claims, carries or is proposed for, newest first", a.myDeliveries)
	route(a, h, signedIn, get, "/notifications", "What the caller was told, newest first", a.notifications)
	route(a, h, signedIn, patch, "/notifications/read-all", "Mark all notifications as read", a.readNotifications)
	route(a, h, signedIn, patch, "/notifications/{id}/read", "Mark a notification as read", a.readNotification)

	route(a, h, anyone, get, "/donations/stats/community", "What the whole board came to", a.communityStats)
	route(a, h, signedIn, get, "/donations/stats/monthly", "The caller's last six months", a.monthlyStats)
	route(a, h, anyone, get, "/donations/leaderboard", "Who earned the most karma", a.leaderboard)

	route(a, h, signedIn, post, "/feedback", "Rate a delivered donation", a.giveFeedback)
	route(a, h, signedIn, get, "/feedback/donation/{id}", "The feedback on a donation, one at most", a.reviews)
	route(a, h, signedIn, get, "/feedback/donor/{id}/average", "The trust score of a donor", a.averageScore)
	route(a, h, signedIn, post, "/donations/{id}/flag", "Tell the admins that something is wrong with a donation", a.flagDonation)
	route(a, h, signedIn, get, "/support/tickets", "The caller's support tickets, newest first", a.tickets)
	route(a, h, signedIn, post, "/support/tickets", "Open a support ticket", a.openTicket)

	route(a, h, signedIn, get, "/events", "What the caller may see of what happened after a position", a.events)

	route(a, h, admins, get, "/admin/pending-ngos", "NGOs that wait for verification: who waits longest comes first", a.pendingNGOs)
	route(a, h, admins, get, "/admin/users", "All accounts, newest first", a.users)
	route(a, h, admins, patch, "/admin/verify/{id}", "Verify an NGO", a.verifyNGO)
	route(a, h, admins, patch, "/admin/users/{id}/toggle-status", "Suspend an account or restore it", a.toggleStatus)
	route(a, h, admins, get, "/admin/donations", "All donations with their donors, newest first", a.allDonations)
	route(a, h, admins, get, "/admin/tickets", "All support tickets, newest first", a.allTickets)
	route(a, h, admins, post, "/admin/tickets", "Open a support ticket", a.openTicket)
	route(a, h, admins, patch, "/admin/tickets/{id}", "Change or answer a support ticket", a.handleTicket)
	route(a, h, admins, get, "/admin/flagged", "All flags, newest first", a.allFlags)
	route(a, h, admins, post, "/admin/flagged", "Flag a donation", a.flagByAdmin)
	route(a, h, admins, patch, "/admin/flagged/{id}", "Decide about a flag", a.decideFlag)
	route(a, h, admins, get, "/admin/notifications", "What waits for an admin, and the newest donations", a.adminNotifications)

	route(a, h, anyone, get, "/health", "Health of the node and its store", a.getHealth)
	route(a, h, anyone, get, "/livez", "Whether the process lives", a.livez)
	route(a, h, anyone, get, "/readyz", "Whether the node takes traffic", a.readyz)
}
