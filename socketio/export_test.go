package socketio

// RoomCount returns how many rooms of the namespace have members, or are kept
// without; those of the sockets' own ids are not stored.
func (n *Namespace) RoomCount() int {
	n.members.mu.Lock()
	defer n.members.mu.Unlock()
	return len(n.members.rooms) + len(n.members.ids)
}
