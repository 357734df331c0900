package node

// CloseStore takes the store away from a running node.
func (n *Node) CloseStore() error { return n.store.Close() }
