package events

// TimerSubject is where delayed work is armed, and DueSubject where it arrives
// when its time has come. Both are in [StreamTimer]. A later timer on the same
// subject replaces the earlier one. key is hashed unless it is a token.
func TimerSubject(service, key string) string { return "kf.timer." + Token(service) + "." + Token(key) }

// DueSubject is described with [TimerSubject].
func DueSubject(service, key string) string { return "kf.due." + Token(service) + "." + Token(key) }

// DueFilter matches everything that falls due for a service.
func DueFilter(service string) string { return "kf.due." + Token(service) + ".>" }
