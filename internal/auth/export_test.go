package auth

// Tracked says how many addresses and accounts are remembered.
func (a *Attempts) Tracked() (addresses, accounts int) {
	a.addresses.mu.Lock()
	defer a.addresses.mu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.addresses.seen), len(a.accounts)
}

// MaxTracked is the bound of each.
const MaxTracked = maxTracked

// Occupy takes every turn of hashing until it is released.
func Occupy(p *Passwords) (release func()) {
	for range cap(p.slots) {
		p.slots <- struct{}{}
	}
	return func() {
		for range cap(p.slots) {
			<-p.slots
		}
	}
}
