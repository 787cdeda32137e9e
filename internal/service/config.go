package service

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"
)

// Config is what every service takes; its own Config embeds it.
type Config struct {
	LogLevel    string        `split_words:"true" default:"info" unit:"debug, info, warn or error" desc:"least level that is logged"`
	LogFormat   string        `split_words:"true" default:"json" unit:"json or console" desc:"one JSON object a line, or text for people"`
	AdminAddr   string        `split_words:"true" default:"127.0.0.1:9090" unit:"host:port" desc:"where /livez, /readyz and /metrics are; in a container :9090, never on the internet"`
	StopTimeout time.Duration `split_words:"true" default:"25s" desc:"how long a stop waits for what is in hand"`
	LameDuck    time.Duration `split_words:"true" default:"5s" desc:"how long a stop goes on working while unready, so that balancers turn away; 0s on a laptop"`
}

// Validate reports what is out of bounds, all at once, by the names the variables have under the prefix KF.
func (c Config) Validate() error {
	var errs []error
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel) {
		errs = append(errs, errors.New("KF_LOG_LEVEL must be debug, info, warn or error"))
	}
	if c.LogFormat != "json" && c.LogFormat != "console" {
		errs = append(errs, errors.New("KF_LOG_FORMAT must be json or console"))
	}
	if !hostPort(c.AdminAddr) {
		errs = append(errs, errors.New("KF_ADMIN_ADDR must be host:port, for example 127.0.0.1:9090, or :9090 for every address"))
	}
	if c.StopTimeout <= 0 {
		errs = append(errs, fmt.Errorf("KF_STOP_TIMEOUT is %v and must be more than 0s, or what is in hand is dropped", c.StopTimeout))
	}
	if c.LameDuck < 0 {
		errs = append(errs, fmt.Errorf("KF_LAME_DUCK is %v and must not be negative", c.LameDuck))
	}
	return errors.Join(errs...)
}

func hostPort(addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}
