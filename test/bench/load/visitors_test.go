package main

import "testing"

// TestHear has a visitor keep the offset of whatever carries one, count donations
// alone, and notice one that it has heard before.
func TestHear(t *testing.T) {
	s := &sockets{tokens: []string{"one", "two"}, returns: &returns{target: 2}}
	v := s.visitor()
	if got := v.joinPacket(); got != `40{"token":"one"}` {
		t.Errorf("CONNECT of a new visitor: %s", got)
	}
	s.welcome(v, []byte(`40{"sid":"a","pid":"p"}`))
	for _, tc := range []struct {
		packet string
		counts bool
	}{
		{`42["feed.ready",{"position":"e-1a"},"e-1a"]`, false},
		{`42["donation.created",{"id":"x"},"e-2b"]`, true},
		{`42["server.draining",{"reconnectInMs":5}]`, false},
		{`42["donation.created",{"id":"x"},"e-2b"]`, true},
		{`42["donation.created",{"id":"y"},"e-3c"]`, true},
	} {
		if got := s.hear(v, []byte(tc.packet)); got != tc.counts {
			t.Errorf("%s: counts %t", tc.packet, got)
		}
	}
	s.welcome(v, []byte(`40{"sid":"a","pid":"p"}`))
	if got := v.joinPacket(); got != `40{"token":"one","pid":"p","offset":"e-3c"}` {
		t.Errorf("CONNECT of one who comes back: %s", got)
	}
	if r := s.returns; v.heard != 3 || r.repeated != 1 || r.complete != 1 || r.recovered != 1 || r.came != 2 {
		t.Errorf("heard %d, %+v", v.heard, *r)
	}
	if w := s.visitor(); w.token != "two" {
		t.Errorf("second token: %s", w.token)
	}
	other := new(visitor) // of a server that is not the product
	if !s.hear(other, []byte(`42["donation.created",{}]`)) || other.heard != 0 {
		t.Errorf("one without a token: %+v", *other)
	}
}
