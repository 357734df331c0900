package cli

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"larder/internal/config"
)

// What of a node's settings means something to a command that only opens the
// database. A command that is not here is a node, and takes them all.
var (
	fileSettings     = []string{"data-dir", "database-url"} // SQLite alone
	databaseSettings = append(slices.Clone(fileSettings), "database-host", "database-port", "postgres-user", "postgres-password", "postgres-db", "db-ssl")

	meaningful = map[string][]string{
		"backup": fileSettings, "restore": fileSettings,
		"migrate": databaseSettings, "import": databaseSettings, "user": databaseSettings,
		"token": append(slices.Clone(databaseSettings), "jwt-secret", "jwt-ttl"),
	}
)

// showFlags writes the flags of a command: its own first, then those of a node that
// mean something to it. The others are taken, since scripts may give the same to all
// commands, and not shown.
func showFlags(w io.Writer, f *flag.FlagSet) {
	command, _, _ := strings.Cut(f.Name(), " ")
	names, bound := meaningful[command]
	if !bound {
		f.PrintDefaults()
		return
	}
	own, node := flag.NewFlagSet("", flag.ContinueOnError), flag.NewFlagSet("", flag.ContinueOnError)
	settings := flag.NewFlagSet("", flag.ContinueOnError)
	config.Bind(settings)
	f.VisitAll(func(one *flag.Flag) {
		to := own
		if settings.Lookup(one.Name) != nil {
			to = node
		}
		if to == own || slices.Contains(names, one.Name) {
			to.Var(one.Value, one.Name, one.Usage)
			to.Lookup(one.Name).DefValue = one.DefValue
		}
	})
	n := 0
	own.VisitAll(func(*flag.Flag) { n++ })
	if n > 0 {
		own.SetOutput(w)
		own.PrintDefaults()
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, "Where the data is, as larder serve has it; each is also an environment variable, such as DATA_DIR:")
	node.SetOutput(w)
	node.PrintDefaults()
}
