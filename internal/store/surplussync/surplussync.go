// Package surplussync reads the PostgreSQL database of a SurplusSync backend (NestJS
// with TypeORM, which makes the tables from its entities), and changes nothing
// there: one REPEATABLE READ, READ ONLY transaction sees one state.
//
// Every value is read as text, whatever type a version of that backend gave its
// column, so that package movein decides alone what a value means. Times without a
// zone come as they are stored.
//
// It is part of the store only in that SQL belongs there (ADR 0018). A DB is for one
// goroutine.
package surplussync

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// Table is what is read of one entity.
type Table struct {
	Entity  string   // its name in reports
	names   []string // TypeORM's name of the table first
	needed  []string // columns without which nothing can be read, and by which it is found under another name
	columns []string // others
}

// The tables. Names are those of TypeORM's default naming.
var (
	Users = Table{
		"users",
		[]string{"user", "users"},
		[]string{"id", "email", "password", "role", "name"},
		[]string{
			"isVerified", "isActive", "organizationName", "organizationType", "phone", "address", "latitude", "longitude",
			"dailyIntakeCapacity", "capacityUnit", "certificateUrl", "vehicleType", "vehicleNumber", "isAvailable",
			"karmaPoints", "createdAt", "updatedAt",
		},
	}
	Donations = Table{
		"donations",
		[]string{"donation", "donations"},
		[]string{"id", "name", "foodType", "quantity", "unit", "latitude", "longitude", "status", "donorId"},
		[]string{
			"donorName", "description", "hygiene", "preparationTime", "expiryTime", "address", "imageUrls", "specialInstructions",
			"claimedById", "volunteerId", "pickedUpAt", "deliveredAt", "createdAt",
		},
	}
	Feedback = Table{
		"feedback",
		[]string{"donation_feedback", "feedback"},
		[]string{"id", "rating", "donationId", "ngoId"},
		[]string{"comment", "createdAt"},
	}
	Tickets = Table{
		"tickets",
		[]string{"support_ticket", "support_tickets"},
		[]string{"id", "userId", "subject", "description"},
		[]string{"status", "priority", "adminNote", "createdAt", "updatedAt"},
	}
	Flags = Table{
		"flags",
		[]string{"flagged_donation", "flagged_donations"},
		[]string{"id", "donationId", "reportedByUserId", "reason"},
		[]string{"status", "adminNote", "createdAt", "updatedAt"},
	}
	Notifications = Table{
		"notifications",
		[]string{"user_notification", "user_notifications"},
		[]string{"id", "userId", "title", "message"},
		[]string{"type", "read", "createdAt"},
	}
)

// ErrNoTable is a table that is nowhere to be found.
var ErrNoTable = errors.New("there is no such table")

// Row is a row as text. What is NULL, or has no column, is empty, and Null.
type Row map[string]sql.NullString

// Text returns a value, empty when it is NULL.
func (r Row) Text(column string) string { return r[column].String }

// Null says that a value is missing.
func (r Row) Null(column string) bool { return !r[column].Valid }

// DB is an open database and its one transaction.
type DB struct {
	db   *sql.DB
	tx   *sql.Tx
	have map[string]map[string]string // table, column, type
}

// Open begins to read the database of that address. Errors never hold the password.
func Open(ctx context.Context, address string) (*DB, error) {
	c, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, errors.New("the address is not understood; user and password need percent-encoding: postgres://user:password@host:5432/name")
	}
	maps.Copy(c.RuntimeParams, map[string]string{
		"application_name": "larder import", "default_transaction_read_only": "on", "datestyle": "ISO, YMD", "timezone": "UTC",
		"client_encoding": "UTF8",
	})
	d := &DB{db: stdlib.OpenDB(*c)}
	d.tx, err = d.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err == nil {
		err = d.look(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the other database: %w", err), d.Close())
	}
	return d, nil
}

// Close ends the transaction.
func (d *DB) Close() error {
	if d.tx != nil {
		_ = d.tx.Rollback() // it has changed nothing
	}
	return d.db.Close()
}

// Same says whether other reads the same database, and would find its tables at the
// same place.
func (d *DB) Same(ctx context.Context, other *DB) (bool, error) {
	var names [2]string
	for i, db := range []*DB{d, other} {
		err := db.tx.QueryRowContext(ctx, `SELECT concat_ws(' ', pg_postmaster_start_time(), current_database(), current_schema())`).Scan(&names[i])
		if err != nil {
			return false, fmt.Errorf("find out which database it is: %w", err)
		}
	}
	return names[0] == names[1], nil
}

// look finds out which tables and columns there are.
func (d *DB) look(ctx context.Context) error {
	rows, err := d.tx.QueryContext(ctx, `SELECT table_name, column_name, data_type FROM information_schema.columns
		WHERE table_schema = ANY (current_schemas(false))`)
	if err != nil {
		return err
	}
	defer rows.Close()
	d.have = map[string]map[string]string{}
	for rows.Next() {
		var table, column, kind string
		if err := rows.Scan(&table, &column, &kind); err != nil {
			return err
		}
		if d.have[table] == nil {
			d.have[table] = map[string]string{}
		}
		d.have[table][column] = kind
	}
	return rows.Err()
}

// Find returns the name of a table: that of TypeORM, else of the only one with the
// columns that it must have. missing are the columns that it lacks and that can be
// done without.
func (d *DB) Find(t Table) (name string, missing []string, err error) {
	for _, n := range t.names {
		if d.have[n] != nil && name == "" {
			name = n
		}
	}
	if name == "" {
		var like []string
		for n, columns := range d.have {
			if len(lacks(columns, t.needed)) == 0 {
				like = append(like, n)
			}
		}
		if len(like) != 1 {
			return "", nil, fmt.Errorf("%w: %s, or one with the columns %s", ErrNoTable, t.names[0], strings.Join(t.needed, ", "))
		}
		name = like[0]
	}
	if gone := lacks(d.have[name], t.needed); len(gone) > 0 {
		return "", nil, fmt.Errorf("table %q lacks %s", name, strings.Join(gone, ", "))
	}
	return name, lacks(d.have[name], t.columns), nil
}

func lacks(have map[string]string, want []string) (gone []string) {
	for _, c := range want {
		if _, ok := have[c]; !ok {
			gone = append(gone, c)
		}
	}
	return gone
}

// Rows yields the rows of a table that is there, the oldest first. The memory that
// it takes does not grow with the table.
func (d *DB) Rows(ctx context.Context, t Table) iter.Seq2[Row, error] {
	return d.rows(ctx, t, `SELECT %s FROM %s ORDER BY %s`)
}

// Newest yields at most limit rows of a kind for each user, the newest of them, the
// oldest first.
func (d *DB) Newest(ctx context.Context, t Table, kind string, limit int) iter.Seq2[Row, error] {
	return d.rows(ctx, t, `SELECT %[1]s FROM (SELECT *, row_number() OVER (PARTITION BY "userId" ORDER BY "createdAt" DESC, id) AS place
		FROM %[2]s WHERE type::text = $1) few WHERE place <= $2 ORDER BY %[3]s`, kind, limit)
}

// Count counts the rows of a table that is there.
func (d *DB) Count(ctx context.Context, t Table) (n int, err error) {
	name, _, err := d.Find(t)
	if err != nil {
		return 0, err
	}
	err = d.tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM `+pgx.Identifier{name}.Sanitize()).Scan(&n)
	return n, err
}

func (d *DB) rows(ctx context.Context, t Table, query string, args ...any) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		name, missing, err := d.Find(t)
		if err != nil {
			yield(nil, err)
			return
		}
		columns := slices.DeleteFunc(slices.Concat(t.needed, t.columns), func(c string) bool { return slices.Contains(missing, c) })
		var texts []string
		for _, c := range columns {
			text := pgx.Identifier{c}.Sanitize() + "::text"
			if d.have[name][c] == "ARRAY" {
				text = "array_to_string(" + pgx.Identifier{c}.Sanitize() + ", ',')"
			}
			texts = append(texts, text)
		}
		order := "id"
		if slices.Contains(columns, "createdAt") {
			order = `"createdAt", id`
		}
		rows, err := d.tx.QueryContext(ctx, fmt.Sprintf(query, strings.Join(texts, ", "), pgx.Identifier{name}.Sanitize(), order), args...)
		if err != nil {
			yield(nil, fmt.Errorf("read table %q: %w", name, err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			values := make([]sql.NullString, len(columns))
			dest := make([]any, len(columns))
			for i := range values {
				dest[i] = &values[i]
			}
			err := rows.Scan(dest...)
			row := Row{}
			for i, c := range columns {
				row[c] = values[i]
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(nil, fmt.Errorf("read table %q: %w", name, err))
		}
	}
}
