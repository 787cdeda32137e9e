// Package localnats runs a NATS server with JetStream in this process: for
// `kfbus dev` and for tests. Only cmd/ and testkit import it; production runs a
// server of its own.
package localnats

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Options say where and how the server runs. The zero value is a server on a
// free port of 127.0.0.1 whose store is thrown away with it.
type Options struct {
	Dir        string // the store; "" makes a temporary one, removed by Close
	Listen     string // host:port for clients; "" is a free port of 127.0.0.1
	SyncAlways bool   // fsync before every ack
	MaxStore   int64  // bytes; 0 means 8 GiB
	Config     string // a server's configuration file, for users and permissions; what the other fields say goes before it
	Logger     server.Logger
}

const (
	defaultStore = 8 << 30
	maxPayload   = 8 << 20
	readyWithin  = 10 * time.Second
)

// Server is a running server.
type Server struct {
	srv  *server.Server
	lock *os.File
	temp string
}

// Start starts a server and returns when clients can connect. Two servers on one
// store would destroy it, so the store is locked; the second Start fails.
func Start(o Options) (*Server, error) {
	s := &Server{}
	dir := o.Dir
	if dir == "" {
		tmp, err := os.MkdirTemp("", "kfbus-nats-")
		if err != nil {
			return nil, fmt.Errorf("make a store for the embedded nats server: %w", err)
		}
		s.temp, dir = tmp, tmp
	}
	if err := s.start(o, dir); err != nil {
		s.release()
		return nil, err
	}
	return s, nil
}

func (s *Server) start(o Options, dir string) error {
	if err := s.lockDir(dir); err != nil {
		return err
	}
	opts := &server.Options{}
	if o.Config != "" {
		var err error
		if opts, err = server.ProcessConfigFile(o.Config); err != nil {
			return fmt.Errorf("read the configuration of the embedded nats server: %w", err)
		}
	}
	opts.ServerName, opts.Host, opts.Port, opts.HTTPPort = "kfbus-local", "127.0.0.1", server.RANDOM_PORT, 0
	opts.JetStream, opts.StoreDir, opts.JetStreamMaxStore, opts.JetStreamMaxMemory = true, dir, defaultStore, 256<<20
	opts.NoSigs, opts.NoLog, opts.MaxPayload, opts.SyncAlways = true, o.Logger == nil, maxPayload, o.SyncAlways
	if o.MaxStore > 0 {
		opts.JetStreamMaxStore = o.MaxStore
	}
	if o.Listen != "" {
		host, port, err := net.SplitHostPort(o.Listen)
		if err != nil {
			return fmt.Errorf("listen address %q of the embedded nats server: %w", o.Listen, err)
		}
		opts.Host = host
		if opts.Port, err = strconv.Atoi(port); err != nil {
			return fmt.Errorf("listen address %q of the embedded nats server: the port is no number", o.Listen)
		}
		if opts.Port == 0 {
			opts.Port = server.RANDOM_PORT
		}
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		return fmt.Errorf("start the embedded nats server: %w", err)
	}
	if o.Logger != nil {
		srv.SetLoggerV2(o.Logger, false, false, false)
	}
	s.srv = srv
	go srv.Start()
	if !srv.ReadyForConnections(readyWithin) {
		s.Close()
		return fmt.Errorf("the embedded nats server is not ready after %v: is %s free, and %s writable?", readyWithin, o.Listen, dir)
	}
	return nil
}

func (s *Server) lockDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the store of the embedded nats server: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "kfbus.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("lock the store of the embedded nats server: %w", err)
	}
	if err := lock(f); err != nil {
		return errors.Join(fmt.Errorf("the store %s is in use by another process; stop it, or choose another folder", dir), f.Close())
	}
	s.lock = f
	return nil
}

// URL is where clients connect.
func (s *Server) URL() string { return s.srv.ClientURL() }

// InProcess makes a client skip the network.
func (s *Server) InProcess() nats.Option { return nats.InProcessServer(s.srv) }

// Close stops the server, after its clients have closed, and removes a
// temporary store. It may be called again.
func (s *Server) Close() {
	if s.srv != nil {
		s.srv.Shutdown()
		s.srv.WaitForShutdown()
	}
	s.release()
}

func (s *Server) release() {
	if s.lock != nil {
		_ = s.lock.Close() // gives the lock back
		s.lock = nil
	}
	if s.temp != "" {
		_ = os.RemoveAll(s.temp) // a folder under the temporary one: nothing of value
		s.temp = ""
	}
}
