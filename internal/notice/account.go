package notice

// Verified is what an NGO is told that an admin has verified.
func Verified(accountID string) Notice {
	return Notice{
		Type: TypeVerified, Title: "Your organisation is verified", Message: "You can claim donations from now on.", To: accountID,
	}
}

// TicketAnswered is what the author of a support ticket is told when another, an
// admin, has answered or resolved it: that there is something to read, and none of
// it, for a notification may live longer than the ticket.
func TicketAnswered(authorID, adminID string, resolved bool) []Notice {
	if authorID == "" || authorID == adminID {
		return nil
	}
	n := Notice{Type: TypeTicketAnswered, Title: "Your request was answered", Message: "An admin has answered your support request.", To: authorID}
	if resolved {
		n.Title, n.Message = "Your request was resolved", "An admin has resolved your support request."
	}
	return []Notice{n}
}
