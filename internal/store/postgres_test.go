package store_test

import (
	"testing"

	"larder/internal/store"
	"larder/internal/store/storetest"
	"larder/internal/testkit/pgtest"
)

func TestPostgres(t *testing.T) {
	storetest.Run(t, func(t *testing.T) *store.Store { return openAt(t, pgtest.Database(t)) })
}
