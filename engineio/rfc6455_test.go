package engineio_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/gobwas/ws"

	"larder/engineio"
	"larder/internal/testkit/wire"
)

// part is a frame that may not be the last of its message.
func part(op ws.OpCode, s string, more bool) []byte {
	return wire.Frame{Op: op, Payload: []byte(s), More: more}.Bytes()
}

// conversation sends one step after the other, waiting after each until the
// server has done what there is to do, and returns all that came back.
func conversation(r *rig, bytewise bool, steps ...[]byte) []string {
	c, _ := r.connect()
	var mu sync.Mutex
	var got []string
	go func() {
		for {
			op, data, err := c.Read()
			if err != nil {
				return
			}
			line := fmt.Sprintf("%x:%s", byte(op), data)
			if op == ws.OpClose {
				code, _ := ws.ParseCloseFrameData(data)
				line = fmt.Sprintf("close %d", code)
			}
			mu.Lock()
			got = append(got, line)
			mu.Unlock()
		}
	}()
	for _, step := range steps {
		size := max(len(step), 1)
		if bytewise {
			size = 1
		}
		for chunk := range slices.Chunk(step, size) {
			if c.Raw(chunk) != nil {
				break // the server has closed; nothing more may come
			}
		}
		synctest.Wait()
	}
	mu.Lock()
	defer mu.Unlock()
	return slices.Clone(got)
}

// The cases that everybody tests a WebSocket with, on an application that
// echoes: E-40. The numbers are those of the sections of the Autobahn suite.
func TestRFC6455(t *testing.T) {
	type steps = [][]byte
	say := func(s string) []byte { return part(ws.OpText, s, false) }
	ping := func(s string) []byte { return part(ws.OpPing, s, false) }
	pong := func(s string) []byte { return part(ws.OpPong, s, false) }
	more := func(s string) []byte { return part(ws.OpContinuation, s, true) }
	last := func(s string) []byte { return part(ws.OpContinuation, s, false) }
	first := func(s string) []byte { return part(ws.OpText, s, true) }
	closing := func(s string) []byte { return part(ws.OpClose, s, false) }
	raw := func(f wire.Frame) []byte { return f.Bytes() }
	long := strings.Repeat("0123456789abcdef", 4097)

	type test struct {
		steps steps
		want  []string
	}
	tests := map[string]test{
		"2.1 ping":               {steps{ping("")}, []string{"a:"}},
		"2.2 ping with text":     {steps{ping("Hello, world!")}, []string{"a:Hello, world!"}},
		"2.3 ping with bytes":    {steps{ping("\x00\xff\xfe\xfd\xfc\xfb\x00\xff")}, []string{"a:\x00\xff\xfe\xfd\xfc\xfb\x00\xff"}},
		"2.4 longest ping":       {steps{ping(long[:125])}, []string{"a:" + long[:125]}},
		"2.5 too long":           {steps{ping(long[:126])}, []string{"close 1002"}},
		"2.7 unasked pongs":      {steps{pong(""), pong("x"), ping("y")}, []string{"a:y"}},
		"2.10 several pings":     {steps{ping("1"), ping("2"), ping("3")}, []string{"a:1", "a:2", "a:3"}},
		"3.4 bit on a text":      {steps{say("4a"), raw(wire.Frame{Op: ws.OpText, Rsv: 1, Payload: []byte("4x")}), ping("")}, []string{"1:4a", "close 1002"}},
		"3.5 bits on binary":     {steps{raw(wire.Frame{Op: ws.OpBinary, Rsv: 5})}, []string{"close 1002"}},
		"3.6 bits on a ping":     {steps{raw(wire.Frame{Op: ws.OpPing, Rsv: 6})}, []string{"close 1002"}},
		"3.7 bits on a close":    {steps{raw(wire.Frame{Op: ws.OpClose, Rsv: 7})}, []string{"close 1002"}},
		"5.1 ping in two":        {steps{part(ws.OpPing, "a", true), last("b")}, []string{"close 1002"}},
		"5.2 pong in two":        {steps{part(ws.OpPong, "a", true), last("b")}, []string{"close 1002"}},
		"5.3 text in two":        {steps{first("4a"), last("b")}, []string{"1:4ab"}},
		"5.6 ping in the middle": {steps{first("4a"), ping("p"), last("b")}, []string{"a:p", "1:4ab"}},
		"5.9 nothing begun":      {steps{last("4a"), say("4b")}, []string{"close 1002"}},
		"5.12 nothing begun":     {steps{more("4a"), say("4b")}, []string{"close 1002"}},
		"5.15 nothing any more":  {steps{first("4a"), last("b"), more("c"), say("4d")}, []string{"1:4ab", "close 1002"}},
		"5.18 begun twice":       {steps{first("4a"), first("4b")}, []string{"close 1002"}},
		"5.19 pings all along": {
			steps{first("4a"), more("b"), ping("1"), more("c"), more("d"), ping("2"), last("e")},
			[]string{"a:1", "a:2", "1:4abcde"},
		},
		"6.1 empty fragments": {steps{first(""), more(""), last("4")}, []string{"1:4"}},
		"6.2 runes cut":       {steps{first("4\xce"), more("\xba\xe1"), more("\xbd"), last("\xb9")}, []string{"1:4\xce\xba\xe1\xbd\xb9"}},
		"6.4 seen at the end": { // strict would be at the first bad byte
			steps{first("4\xff"), ping("still open"), more("x"), last("")},
			[]string{"a:still open", "close 1007"},
		},
		"6.4 seen before what follows": {steps{say("4\xff"), say("4a")}, []string{"close 1007"}},
		"6 not text":                   {steps{part(ws.OpBinary, "\xff", false)}, []string{"2:\xff"}},
		"7.1.1 close":                  {steps{say("4a"), closing("\x03\xe8")}, []string{"1:4a", "close 1000"}},
		"7.1.2 close twice":            {steps{closing("\x03\xe8"), closing("\x03\xe8")}, []string{"close 1000"}},
		"7.1.3 ping after close":       {steps{closing("\x03\xe8"), ping("")}, []string{"close 1000"}},
		"7.1.4 text after close":       {steps{closing("\x03\xe8"), say("4a")}, []string{"close 1000"}},
		"7.1.5 close in a message":     {steps{first("4a"), closing("\x03\xe8"), last("b")}, []string{"close 1000"}},
		"7.3.1 empty close":            {steps{closing("")}, []string{"close 0"}},
		"7.3.2 half a status":          {steps{closing("\x03")}, []string{"close 1002"}},
		"7.3.4 close with a reason":    {steps{closing("\x03\xe8Hello")}, []string{"close 1000"}},
		"7.3.5 longest reason":         {steps{closing("\x03\xe8" + long[:123])}, []string{"close 1000"}},
		"7.3.6 reason too long":        {steps{closing("\x03\xe8" + long[:124])}, []string{"close 1002"}},
		"7.5.1 reason not UTF-8":       {steps{closing("\x03\xe8\xce\xba\xe1\xbd\xb9\xed\xa0\x80")}, []string{"close 1007"}},
		// RFC 6455, 5.2: the least number of bytes.
		"length in 2 bytes":         {steps{raw(wire.Frame{Op: ws.OpText, Payload: []byte("4a"), Wide: 2})}, []string{"close 1002"}},
		"125 in 2 bytes":            {steps{raw(wire.Frame{Op: ws.OpText, Payload: []byte("4" + long[:124]), Wide: 2})}, []string{"close 1002"}},
		"length in 8 bytes":         {steps{raw(wire.Frame{Op: ws.OpText, Payload: []byte("4a"), Wide: 8})}, []string{"close 1002"}},
		"65535 in 8 bytes":          {steps{raw(wire.Frame{Op: ws.OpBinary, Payload: []byte(long[:65535]), Wide: 8})}, []string{"close 1002"}},
		"length of a ping":          {steps{raw(wire.Frame{Op: ws.OpPing, Wide: 2})}, []string{"close 1002"}},
		"mask of zeros":             {steps{{0x81, 0x82, 0, 0, 0, 0, '4', 'a'}}, []string{"1:4a"}},
		"mask of zeros, no payload": {steps{{0x89, 0x80, 0, 0, 0, 0}}, []string{"a:"}},
		"not masked":                {steps{{0x81, 0x02, '4', 'a'}}, []string{"close 1002"}},
		"pong not masked":           {steps{{0x8a, 0x00}}, []string{"close 1002"}},
	}
	for _, n := range []int{1, 125, 126, 127, 128, 2047, 2048, 2049, 65535, 65536} { // 1.1 and 1.2
		s := "4" + long[:n-1]
		tests[fmt.Sprintf("1.1 text of %d bytes", n)] = test{steps{say(s)}, []string{"1:" + s}}
		tests[fmt.Sprintf("1.2 %d bytes", n)] = test{steps{part(ws.OpBinary, s, false)}, []string{"2:" + s}}
	}
	for _, op := range []ws.OpCode{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} { // 4.1 and 4.2
		tests[fmt.Sprintf("4 opcode %d", op)] = test{steps{say("4a"), part(op, "x", false), ping("")}, []string{"1:4a", "close 1002"}}
	}
	for name, s := range map[string]string{ // 6.5 to 6.23
		"ascii": "\x00\x7f", "two bytes": "\u0080\u07ff", "three bytes": "\u0800\uffff", "four bytes": "\U00010000\U0010ffff",
		"around the surrogates": "\ud7ff\ue000", "not characters": "\ufffe\ufdd0\U0001fffe", "replacement": "\ufffd",
	} {
		tests["6 good: "+name] = test{steps{say("4" + s)}, []string{"1:4" + s}}
	}
	for name, s := range map[string]string{
		"continuation alone": "\x80", "cut after 1 of 2": "\xc2", "cut after 2 of 3": "\xe1\x80", "cut after 3 of 4": "\xf0\x90\x80",
		"lonely start": "\xc2 ", "slash in 2": "\xc0\xaf", "slash in 3": "\xe0\x80\xaf", "slash in 4": "\xf0\x80\x80\xaf",
		"zero in 2": "\xc0\x80", "overlong of 2": "\xc1\xbf", "overlong of 3": "\xe0\x9f\xbf", "overlong of 4": "\xf0\x8f\xbf\xbf",
		"high surrogate": "\xed\xa0\x80", "low surrogate": "\xed\xbf\xbf", "pair of them": "\xed\xa0\x80\xed\xb0\x80",
		"beyond unicode": "\xf4\x90\x80\x80", "five bytes": "\xf8\x88\x80\x80\x80", "six bytes": "\xfc\x84\x80\x80\x80\x80",
		"fe": "\xfe", "ff": "\xff",
	} {
		tests["6 bad: "+name] = test{steps{say("4" + s), say("4a")}, []string{"close 1007"}}
		tests["6 bad, in fragments: "+name] = test{steps{first("4" + s[:1]), last(s[1:])}, []string{"close 1007"}}
	}
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} { // 7.7
		tests[fmt.Sprintf("7.7 status %d", code)] = test{steps{closing(string([]byte{byte(code >> 8), byte(code)}))}, []string{fmt.Sprintf("close %d", code)}}
	}
	for _, code := range []int{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} { // 7.9 and 7.13
		tests[fmt.Sprintf("7.9 status %d", code)] = test{steps{closing(string([]byte{byte(code >> 8), byte(code)}))}, []string{"close 1002"}}
	}
	for name, tc := range tests {
		for _, bytewise := range []bool{false, true} {
			if bytewise && len(tc.steps[0]) > 1000 {
				continue // takes long and shows nothing new
			}
			t.Run(fmt.Sprintf("%s/bytewise=%v", name, bytewise), func(t *testing.T) {
				bubble(t, func(r *rig) {
					if got := conversation(r, bytewise, tc.steps...); !slices.Equal(got, tc.want) {
						t.Errorf("got %.200q, want %.200q", got, tc.want)
					}
				}, calm, func(c *engineio.Config) { c.Logger = nil })
			})
		}
	}
}
