package natsconf

import (
	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
)

const (
	anyCorp = "kf.token.suspect.*" // where a refused access token is reported
	anyPull = "kf.pulled.*.*"      // where a completed pull is told
)

func ingress() Identity {
	return Identity{Name: Ingress, Publish: together(uses(Ingress), under(events.KindCallback, events.KindApp))}
}

func syncer() Identity {
	return Identity{Name: Syncer,
		Publish: together(uses(bus.ServiceSyncer), uses(bus.ServiceMedia),
			under(events.KindCallback, events.KindMessage, events.KindEvent, events.KindHistory, events.KindCursor),
			timers(bus.ServiceSyncer, bus.ServiceMedia), dead(bus.ServiceSyncer, bus.ServiceMedia),
			read(events.StreamMessage), readBack(),
			readKeys(events.BucketTokens, events.BucketThrottle), []string{keys(events.BucketThrottle), anyCorp},
			[]string{anyPull}, storeFiles()),
		Subscribe: follow(events.BucketTokens, events.BucketThrottle)}
}

func sender() Identity {
	return Identity{Name: Sender, Responds: true,
		Publish: together(uses(bus.ServiceSender), look(objects(events.BucketMedia)),
			under(events.KindOutcome, events.KindCallback), windowEvents(), timers(bus.ServiceSender, bus.ServiceWindow), dead(bus.ServiceSender),
			read(events.StreamMessage, events.StreamCommand, events.StreamOutcome, events.StreamTimer),
			readKeys(events.BucketTokens, events.BucketLedger, events.BucketConversations, events.BucketThrottle, events.BucketUploads),
			[]string{keys(events.BucketLedger), keys(events.BucketConversations), keys(events.BucketThrottle), keys(events.BucketUploads), anyCorp,
				"$JS.API.STREAM.MSG.DELETE." + events.StreamCommand},
			storeFiles()),
		Subscribe: together(follow(events.BucketTokens), under(events.KindAPI), []string{"$SRV.>", anyPull})}
}

func tokenkeeper() Identity {
	return Identity{Name: Tokenkeeper,
		Publish:   together(uses(Tokenkeeper), readKeys(events.BucketTokens), []string{keys(events.BucketTokens)}),
		Subscribe: []string{anyCorp}}
}

// windowEvents lets it tell of windows.
func windowEvents() []string {
	var out []string
	for _, name := range events.WindowEvents() {
		out = append(out, "kf."+string(events.KindEvent)+".*.*."+name+".*")
	}
	return out
}

// timers lets a service arm its own.
func timers(services ...string) []string {
	var out []string
	for _, s := range services {
		out = append(out, "kf.timer."+s+".>")
	}
	return out
}

// dead lets a service bury what it cannot process, under its own name.
func dead(services ...string) []string {
	var out []string
	for _, s := range services {
		out = append(out, "kf."+string(events.KindDead)+"."+s+".>")
	}
	return out
}

// follow lets it hear of changes of a bucket as they are published.
func follow(buckets ...string) []string {
	var out []string
	for _, b := range buckets {
		out = append(out, keys(b))
	}
	return out
}

// storeFiles lets it write files, read them, and take back one that it could not finish.
func storeFiles() []string {
	o := objects(events.BucketMedia)
	return together(read(o), []string{files(events.BucketMedia), "$JS.API.STREAM.PURGE." + o})
}

// readBack lets it read pages of KF_MESSAGE without making a consumer.
func readBack() []string { return []string{"$JS.API.DIRECT.GET." + events.StreamMessage} }
