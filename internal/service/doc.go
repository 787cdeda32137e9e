// Package service is the shell every kfbus service runs in: it reads the environment, makes the logger and the metrics,
// answers /livez, /readyz and /metrics on the admin address, and starts and stops the parts in order.
//
// A process is four steps:
//
//	var cfg sender.Config // embeds service.Config
//	err := service.Load("KF", &cfg)
//	shell, err := service.NewShell(service.App{Name: "sender", Version: version}, cfg.Config, os.Stderr, time.Now)
//	s, err := sender.New(cfg, shell.Deps("sender"))
//	err = shell.Run(ctx, service.Part{Name: "sender", Run: s.Run})
//	os.Exit(service.ExitCode(err))
//
// A stop goes: unready, lame duck, the parts' context ends and they finish what is in hand, cleanups last first, admin
// server. [Shell.Run] has the details.
//
// Secrets are of type [Secret], which no format verb, encoder or logger prints. They come from NAME or, better, from the
// file that NAME_FILE names, and a file is read again when it changes.
//
// The package must not know: NATS and what is on the bus, WeChat, HTTP beyond the admin port, and which services there
// are. It never ends the process: that is for main, with [ExitCode].
package service
