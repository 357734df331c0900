package node_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"larder/internal/testkit"
)

// smallDisk mounts a file system of few bytes, where this is allowed.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	folder := t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("a small disk can't be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return folder
}

// fill writes a file until the disk is full, and returns its name.
func fill(t *testing.T, folder string) string {
	t.Helper()
	f, err := os.Create(filepath.Join(folder, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

func TestDiskFull(t *testing.T) {
	folder := smallDisk(t, "8m")
	b := newBoard(t, folder)
	for round := range 3 {
		filler := fill(t, folder)
		// What the WAL has room for still goes in, durably.
		i, r := 0, testkit.Reply{Status: http.StatusCreated}
		for ; r.Status == http.StatusCreated; i++ {
			if i > 0 {
				b.acknowledge(r)
			}
			r = b.donate(fmt.Sprintf("round%d-%d", round, i))
		}
		b.wantUnavailable("full", r)
		full := fmt.Sprintf("round%d-%d", round, i-1)
		b.wantUnavailable("still full", b.donate(full))
		keys := []string{full, fmt.Sprintf("after%d", round)}
		replies := make([]testkit.Reply, 16) // several in one transaction
		var group sync.WaitGroup
		for i := range replies {
			keys = append(keys, fmt.Sprintf("crowd%d-%d", round, i))
			key := keys[len(keys)-1]
			group.Go(func() { replies[i] = b.donate(key) })
		}
		group.Wait()
		for _, r := range replies {
			if r.Status == http.StatusCreated {
				b.acknowledge(r)
				continue
			}
			b.wantUnavailable("crowd", r)
		}
		if r := b.Get("/donations", ""); r.Status != http.StatusOK {
			t.Errorf("reading with a full disk: %s", r)
		}
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		b.wantHealed(keys...)
	}
	b.wantHeard()
	if err := b.Stop(); err != nil {
		t.Fatal(err)
	}
	again := testkit.Start(t, testkit.Options{DataDir: folder})
	b.Node = again
	b.wantHealed("restarted")
	if err := again.Stop(); err != nil { // before the disk goes
		t.Fatal(err)
	}
}
