// Package node is the composition root: it builds every part of a Larder from
// the settings, starts the goroutines that the design lists, and stops everything
// in order.
//
// New opens the store, applies migrations and opens the listener, but starts no
// goroutine. Run serves until its context ends: then readiness goes off, nobody
// new is let in, clients are told when to come back, sockets and held polls are
// closed in even steps, requests finish, the tailer and the clock stop, and the
// store is closed last.
package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"larder/api"
	"larder/engineio"
	"larder/internal/auth"
	"larder/internal/command"
	"larder/internal/config"
	"larder/internal/console"
	"larder/internal/eventlog"
	"larder/internal/fanout"
	"larder/internal/gateway"
	"larder/internal/httpapi"
	"larder/internal/mail"
	"larder/internal/media"
	"larder/internal/query"
	"larder/internal/store"
	"larder/internal/telemetry"
	"larder/internal/timer"
	"larder/socketio"
)

// finishTime bounds what is left of an orderly stop after the drain: last words,
// and requests that are being answered.
const finishTime = 5 * time.Second

// MadeUp tells what a node had to decide by itself, for the operator.
type MadeUp struct {
	Secret     bool    // a signing secret was made and kept in the data folder
	Migrations []int64 // applied to the schema
	Admin      bool    // the configured admin account was added
}

// Node is one running Larder.
type Node struct {
	log      *slog.Logger
	drain    time.Duration // how long sending clients away may take
	listener net.Listener
	server   *http.Server
	store    *store.Store
	sio      *socketio.Server
	gateway  *gateway.Gateway
	tailer   *eventlog.Tailer
	timer    *timer.Timer
	health   *telemetry.Health
	metrics  *telemetry.Metrics
	madeUp   MadeUp
	auth     *auth.Auth
	files    filesCloser
	media    *media.Library
	mail     *mail.Sink
}

// Option changes how a node is built.
type Option func(*Node)

// WithListener has the node serve on l and leave the configured address alone. l
// is the node's from then on, to be closed, too.
func WithListener(l net.Listener) Option { return func(n *Node) { n.listener = l } }

// New builds a node and opens its listener. wire is where wire logs go when the
// settings turn them on. If it fails nothing is left open.
func New(ctx context.Context, cfg config.Config, log *slog.Logger, wire io.Writer, opts ...Option) (_ *Node, err error) {
	n := &Node{log: log, drain: cfg.DrainTime}
	for _, opt := range opts {
		opt(n)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.abandon())
		}
	}()
	if err := n.openStore(ctx, cfg); err != nil {
		return nil, err
	}
	tokens, err := n.tokens(cfg)
	if err != nil {
		return nil, err
	}
	n.auth = auth.New(n.store, tokens)
	waker := eventlog.NewWaker()
	commands := command.NewService(n.store, n.auth.Passwords, waker.Wake, cfg.Timezone)
	if err := n.ensureAdmin(ctx, commands, cfg); err != nil {
		return nil, fmt.Errorf("admin from SUPER_ADMIN_EMAIL: %w", err)
	}
	queries := query.NewService(n.store, cfg.Timezone)
	cors := &engineio.CORS{Origins: cfg.FrontendURLs, Setting: "FRONTEND_URL", Logger: log}
	n.metrics = telemetry.NewMetrics(gateway.Namespaces...)
	if n.sio, err = newSocketIO(cfg, cors, n.metrics, log, wire); err != nil {
		return nil, err
	}
	n.metrics.Gauge("queue_bytes", "Bytes that wait for clients that are behind.",
		func() float64 { return float64(n.sio.Stats().Queued) })
	n.metrics.Gauge("commands_waiting", "Commands that wait for their turn at the store.",
		func() float64 { return float64(n.store.Stats().Waiting) })
	n.gateway = gateway.New(n.sio, n.auth, queries, commands, cfg.EventRetention, log)
	if err := n.joinLog(ctx, waker); err != nil {
		return nil, err
	}
	if err := n.openMail(ctx, cfg); err != nil {
		return nil, err
	}
	n.timer = timer.New(n.store, commands, cfg.EventRetention, log)
	n.health = telemetry.NewHealth(telemetry.Check{Name: "store", Run: n.store.Ping})
	rest := httpapi.New(commands, queries, n.auth, httpapi.Health{
		Health: func(ctx context.Context) api.Health { return n.health.Report(ctx, log) },
		Ready:  func(ctx context.Context) api.Health { return n.health.Ready(ctx, log) },
	}, log)
	if err := n.openMedia(cfg); err != nil {
		return nil, err
	}
	rest.UseMedia(n.media, cfg.PublicURL)
	n.server = newHTTPServer(httpapi.TrustProxies(
		httpapi.Edge(n.routes(rest, cors, httpapi.Metrics(n.metrics.Handler(), cfg.MetricsToken)), log), cfg.Proxies), log)
	if n.listener == nil {
		if n.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", cfg.Address()); err != nil {
			return nil, fmt.Errorf("listen: %w", err)
		}
	}
	return n, nil
}

func (n *Node) openStore(ctx context.Context, cfg config.Config) (err error) {
	if n.store, err = store.Open(ctx, cfg.DatabaseURL); err != nil {
		return err
	}
	n.madeUp.Migrations, err = n.store.Migrate(ctx)
	return err
}

// filesCloser is where photos and certificates are kept, a folder or a bucket.
type filesCloser interface {
	media.Files
	io.Closer
}

func (n *Node) openMedia(cfg config.Config) error {
	if cfg.S3.Endpoint == "" {
		disk, err := media.OpenDisk(filepath.Join(cfg.DataDir, "media"))
		if err != nil {
			return err
		}
		n.files = disk
	} else {
		bucket, err := media.NewBucket(media.BucketConfig(cfg.S3))
		if err != nil {
			return err
		}
		n.files = bucket
	}
	n.media = media.New(n.store, n.files, n.log)
	return nil
}

func (n *Node) openMail(ctx context.Context, cfg config.Config) error {
	s := mail.Settings{
		Server: mail.Server{
			Host: cfg.SMTP.Host, Port: cfg.SMTP.Port, User: cfg.SMTP.User, Password: cfg.SMTP.Password, From: cfg.SMTP.From, TLS: cfg.SMTP.TLS,
		},
		Zone: cfg.Timezone, Count: n.metrics.Mail,
	}
	if len(cfg.FrontendURLs) > 0 {
		s.URL = cfg.FrontendURLs[0]
	}
	n.mail = mail.New(n.store, s, n.log)
	if err := n.mail.Start(ctx); err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	return nil
}

func (n *Node) tokens(cfg config.Config) (*auth.Tokens, error) {
	secret := []byte(cfg.JWTSecret)
	if len(secret) == 0 {
		var err error
		if secret, n.madeUp.Secret, err = auth.Secret(cfg.DataDir); err != nil {
			return nil, err
		}
	}
	return auth.NewTokens(secret, cfg.JWTTTL), nil
}

// maxSessions bounds the sessions of one node (E-71): of about 8 KB each while they
// wait. A crowd that is larger needs another node anyway.
const maxSessions = 100_000

func newSocketIO(cfg config.Config, cors *engineio.CORS, observer socketio.Observer, log *slog.Logger, wire io.Writer) (*socketio.Server, error) {
	var compression *engineio.Compression // E-41
	if cfg.WSCompression {
		compression = &engineio.Compression{}
	}
	sio, err := socketio.NewServer(socketio.Config{
		Engine: engineio.Config{
			PingInterval: cfg.PingInterval, PingTimeout: cfg.PingTimeout, MaxPayload: cfg.MaxPayload, CORS: cors,
			Compression: compression, MaxSessions: maxSessions,
			Logger: telemetry.Wire(log, wire, cfg.LogFormat, cfg.Debug, "engine"),
		},
		ConnectTimeout: cfg.ConnectTime,
		Observer:       observer,
		Logger:         telemetry.Wire(log, wire, cfg.LogFormat, cfg.Debug, "socket.io"),
	})
	if err != nil {
		return nil, fmt.Errorf("socket.io: %w", err)
	}
	return sio, nil
}

// joinLog positions the tailer at the head of the log and connects it through
// the fan-out to the gateway.
func (n *Node) joinLog(ctx context.Context, waker *eventlog.Waker) error {
	var fan *fanout.Fanout
	n.tailer = eventlog.NewTailer(n.store.Log(), waker,
		func(ctx context.Context, recs []eventlog.Record) { fan.Publish(ctx, recs) }, n.log)
	n.tailer.OnLoss(func(upTo eventlog.Position) { fan.Lose(upTo) })
	pos, err := n.tailer.Start(ctx)
	if err != nil {
		return fmt.Errorf("read log: %w", err)
	}
	fan = fanout.New(pos, n.log, n.gateway)
	// Who was here before a restart comes back at once: one read serves them all.
	recent, err := n.store.Log().Since(ctx, pos.Seq-fanout.RingRecords, fanout.RingRecords)
	if err != nil {
		return fmt.Errorf("read log: %w", err)
	}
	fan.Recall(recent)
	n.gateway.Join(fan)
	n.metrics.Gauge("narrowed_clients", "Live clients whose feed is narrowed.", func() float64 {
		clients, _ := fan.Views.Len()
		return float64(clients)
	})
	return nil
}

// routes is everything that the node serves. The engine answers for its path
// itself, cross-origin rules included; the same rules guard all else.
func (n *Node) routes(rest *httpapi.API, cors *engineio.CORS, metrics http.Handler) http.Handler {
	inner := http.NewServeMux()
	rest.Mount(inner)
	inner.Handle("/metrics", metrics)
	console.Routes(inner)
	known := httpapi.Mux(inner)
	guarded := cors.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if gateway.IsPlainWebSocket(r) {
			if err := n.gateway.ServePlainWebSocket(w, r); err != nil {
				rest.Refuse(w, r, err)
			}
			return
		}
		if gateway.IsEventStream(r) {
			if err := n.gateway.ServeEventStream(w, r); err != nil {
				rest.Refuse(w, r, err)
			}
			return
		}
		known.ServeHTTP(w, r)
	}))
	outer := http.NewServeMux()
	outer.Handle("/", guarded)
	outer.Handle("/socket.io/", n.sio)
	for _, pattern := range console.BundlePatterns() {
		outer.Handle(pattern, guarded)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/socket.io": // ServeMux would redirect, and clients do not follow (E-1)
			n.sio.ServeHTTP(w, r)
		case r.Method == http.MethodConnect || r.URL.Path == "*" || r.URL.Path == "":
			httpapi.WriteError(w, r, api.NewError(http.StatusNotFound, api.CodeNotFound, "Cannot "+r.Method+" this path"))
		default:
			outer.ServeHTTP(w, r)
		}
	})
}

func newHTTPServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h,
		// No WriteTimeout: it would end held polls. Each door bounds its own writes,
		// and bodies are read under a deadline of their own.
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// URL is where the node can be reached from this machine.
func (n *Node) URL() string {
	addr, ok := n.listener.Addr().(*net.TCPAddr)
	if !ok {
		return "http://" + n.listener.Addr().String()
	}
	host := addr.IP.String()
	if addr.IP.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(addr.Port))
}

// MadeUp tells what the node decided by itself.
func (n *Node) MadeUp() MadeUp { return n.madeUp }

// Run serves until ctx ends and then stops in order. It returns nil after an
// orderly stop. It is called once.
func (n *Node) Run(ctx context.Context) error {
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	var running sync.WaitGroup
	running.Go(func() { _ = n.tailer.Run(work) }) // nil by contract
	running.Go(func() { _ = n.timer.Run(work) })
	running.Go(func() { _ = n.gateway.Run(work) })
	running.Go(func() { _ = n.media.Run(work) })
	running.Go(func() { _ = n.mail.Run(work) })
	served := make(chan error, 1)
	running.Go(func() { served <- n.server.Serve(n.listener) })

	var err error
	select {
	case <-ctx.Done():
		n.log.Info("stopping", "cause", context.Cause(ctx).Error())
	case err = <-served:
		err = fmt.Errorf("serve: %w", err)
	}
	err = errors.Join(err, n.stop(context.WithoutCancel(ctx)))
	stopWork()
	running.Wait()
	err = errors.Join(err, n.store.Close(), n.files.Close())
	n.log.Info("stopped")
	return err
}

// stop ends the traffic: told, closed, finished. Sockets and held polls come
// first, because http.Server.Shutdown neither closes the ones nor answers the
// others. Requests are served all the while, so that the node is seen to live.
func (n *Node) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, n.drain+finishTime)
	defer cancel()
	n.health.Drain()
	drainErr := n.gateway.Drain(ctx, n.drain)
	// Side by side: each may have to wait for peers that do not answer a close.
	var doors sync.WaitGroup
	var sioErr, plainErr error
	doors.Go(func() { sioErr = n.sio.Shutdown(ctx) })
	doors.Go(func() { plainErr = n.gateway.Shutdown(ctx) })
	doors.Wait()
	err := errors.Join(drainErr, sioErr, plainErr)
	if late := n.server.Shutdown(ctx); late != nil {
		// Somebody does not take his answer: he is cut, so that nothing is left.
		err = errors.Join(err, fmt.Errorf("requests: %w", late), n.server.Close())
	}
	return err
}

// abandon closes what a failed New had opened.
func (n *Node) abandon() error {
	var err error
	if n.listener != nil {
		err = n.listener.Close()
	}
	if n.store != nil {
		err = errors.Join(err, n.store.Close())
	}
	if n.files != nil {
		err = errors.Join(err, n.files.Close())
	}
	return err
}
