package syncer

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// account is what this replica remembers of one account. Nothing in it is needed for correctness.
type account struct {
	due      time.Time // of the next sweep
	budget   *rate.Limiter
	failures int       // in a row
	stored   time.Time // the last pull that was stored, as far as this replica knows
	told     int       // of lagHours, since then
}

// accounts are those that are swept.
type accounts struct {
	sweep     time.Duration
	perMinute int // pulls without a callback's token

	mu      sync.Mutex
	all     map[string]*account // by open_kfid
	horizon time.Time           // see known
	listed  time.Time           // when the list was last asked for
}

func newAccounts(cfg Config, start time.Time) *accounts {
	return &accounts{sweep: cfg.Sweep, perMinute: cfg.TokenlessPerMinute, all: map[string]*account{}, horizon: start, listed: start}
}

// firstSpacing keeps a thousand accounts from ringing in the same moment at start.
const firstSpacing = 5 * time.Millisecond

// add makes accounts known; those that are new are due now.
func (a *accounts) add(now time.Time, ids ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, id := range ids {
		if a.all[id] == nil {
			a.get(id).due = now.Add(min(time.Duration(i)*firstSpacing, a.sweep))
		}
	}
}

// get returns an account, and makes it known if it is not. The caller holds mu.
func (a *accounts) get(id string) *account {
	acc := a.all[id]
	if acc == nil {
		acc = &account{budget: rate.NewLimiter(rate.Limit(float64(a.perMinute)/60), max(1, a.perMinute/3))}
		a.all[id] = acc
	}
	return acc
}

// remove forgets an account; a doorbell makes it known again.
func (a *accounts) remove(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.all, id)
}

func (a *accounts) len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.all)
}

// known says that a list of all accounts that was asked for at this time has been added.
func (a *accounts) known(at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.horizon, a.listed = a.listed, at
}

// since is a time at which an account that has just become known was not yet there: that of the list before the last, and
// before there are two the start of the process.
func (a *accounts) since() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.horizon
}

// takeDue returns the accounts whose sweep is due, longest first, and puts it off by one interval.
func (a *accounts) takeDue(now time.Time) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var ids []string
	for id, acc := range a.all {
		if !now.Before(acc.due) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(x, y string) int { return a.all[x].due.Compare(a.all[y].due) })
	for _, id := range ids {
		a.all[id].due = now.Add(jitter(a.sweep))
	}
	return ids
}

// pulled: there was nothing more at now.
func (a *accounts) pulled(id string, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	acc := a.get(id)
	acc.due, acc.failures = now.Add(jitter(a.sweep)), 0
}

// rest keeps sweeps away until a while after then.
func (a *accounts) rest(id string, until time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.get(id).due = until.Add(jitter(a.sweep))
}

// failed counts one more failure in a row.
func (a *accounts) failed(id string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	acc := a.get(id)
	acc.failures++
	return acc.failures
}

// spend takes one pull without a callback's token from the account's budget, or says how long until there is one.
func (a *accounts) spend(id string, now time.Time) (wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.get(id).budget.ReserveN(now, 1)
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

// stored says that what was pulled at a time is in the stream, or that nothing was there.
func (a *accounts) stored(id string, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if acc := a.get(id); at.After(acc.stored) {
		acc.stored, acc.told = at, 0
	}
}

// stale returns the accounts of which no pull is known within the first of lagHours.
func (a *accounts) stale(now time.Time) (ids []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, acc := range a.all {
		if lagLevel(now.Sub(acc.stored)) > 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// lag returns an account's last pull, how many of lagHours have passed since, and how many of them were told.
func (a *accounts) lag(id string, now time.Time) (at time.Time, level, told int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	acc := a.get(id)
	if acc.stored.IsZero() {
		return acc.stored, 0, 0
	}
	return acc.stored, lagLevel(now.Sub(acc.stored)), acc.told
}

func (a *accounts) told(id string, level int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.get(id).told = level
}

// jitter is d, give or take a tenth.
func jitter(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1)
}
