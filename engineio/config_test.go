package engineio_test

import (
	"strings"
	"testing"
	"time"

	"larder/engineio"
)

func TestNewServerNamesWhatIsWrong(t *testing.T) {
	_, err := engineio.NewServer(engineio.Config{
		Path: "x", PingInterval: -1, PingTimeout: time.Microsecond, UpgradeTimeout: -1, WriteTimeout: -1, ReadTimeout: -1,
		Compression: &engineio.Compression{Threshold: -1, Level: 10},
		MaxPayload:  -1, QueueBytes: -1, QueueMessages: -1, Transports: []engineio.Transport{"smoke"},
		CORS: &engineio.CORS{Origins: []string{"*"}, Setting: "FRONTEND_URL"},
	}, nil)
	if err == nil {
		t.Fatal("NewServer took it")
	}
	for _, name := range []string{
		"path", "PingInterval", "PingTimeout", "UpgradeTimeout", "WriteTimeout", "ReadTimeout",
		"MaxPayload", "QueueBytes", "QueueMessages", "smoke", "FRONTEND_URL",
		"Compression.Threshold", "Compression.Level",
	} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("error does not name %s:\n%v", name, err)
		}
	}
}

func TestDefaults(t *testing.T) {
	bubble(t, func(r *rig) {
		_, open := r.connect()
		if open.PingInterval != 25_000 || open.PingTimeout != 20_000 || open.MaxPayload != 1_000_000 {
			r.Errorf("open packet: got %+v", open)
		}
	}, func(c *engineio.Config) { *c = engineio.Config{Path: "/engine.io"} })
}
