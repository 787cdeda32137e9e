package natsconf

import (
	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
)

// streams are the names of all streams, those behind buckets too.
func streams() []string {
	t := bus.DefaultTopology()
	var out []string
	for _, s := range t.Streams() {
		out = append(out, s.Name)
	}
	for _, b := range t.Buckets() {
		out = append(out, kv(b.Bucket))
	}
	for _, o := range t.Objects() {
		out = append(out, objects(o.Bucket))
	}
	return out
}

// topology makes streams and durables, and changes them. It can delete and purge none,
// and reads nothing that is in them.
func topology() Identity {
	id := Identity{Name: Topology, Publish: []string{"$JS.API.INFO", "$JS.API.CONSUMER.INFO.*.*"}}
	for _, s := range streams() {
		id.Publish = append(id.Publish, "$JS.API.STREAM.INFO."+s, "$JS.API.STREAM.CREATE."+s, "$JS.API.STREAM.UPDATE."+s)
	}
	for _, s := range []string{events.StreamCallback, events.StreamMessage, events.StreamCommand, events.StreamOutcome, events.StreamTimer} {
		id.Publish = append(id.Publish, "$JS.API.CONSUMER.CREATE."+s+".>")
	}
	return id
}

// operator runs the tools for people: it sees all that happens but the access tokens,
// publishes again what was buried, and speaks as any team. It can delete dead letters, no stream.
func operator() Identity {
	id := Identity{Name: Operator,
		Publish: together(under(events.KindCallback, events.KindCommand, events.KindAPI),
			[]string{"kf.due.>", "kf.replay.>", "$SRV.>", "$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.INFO.*",
				"$JS.API.CONSUMER.INFO.*.*", "$JS.API.STREAM.MSG.DELETE." + events.StreamDead},
			readKeys(events.BucketConversations, events.BucketThrottle), storeFiles(),
			read(events.StreamCallback, events.StreamCommand, events.StreamTimer)),
		Subscribe: together([]string{"kf.>"}, follow(events.BucketConversations))}
	for _, s := range []string{events.StreamMessage, events.StreamOutcome, events.StreamDead} {
		id.Publish = append(id.Publish, together(read(s), consumersOf(s))...)
	}
	return id
}

// consumersOf lets it read a stream through consumers of its own. Whoever may do that may
// also take messages of others' durables, though not acknowledge them.
func consumersOf(stream string) []string {
	return []string{"$JS.API.CONSUMER.CREATE." + stream + ".>", "$JS.API.CONSUMER.MSG.NEXT." + stream + ".*",
		"$JS.API.CONSUMER.DELETE." + stream + ".*"}
}

// team reads its accounts' messages and its own outcomes from durables that were made for
// it, commands its own accounts, asks the API of its corps, and looks at its conversations.
// It makes no consumer: whoever may, names the subject that the server delivers to. And it is apart: with every request
// goes the subject of its answer, and in our account that may be one of ours, where the answer would be stored.
func team(t bus.Team) Identity {
	id := Identity{Name: TeamIdentity(t), Apart: true, Subscribe: append(t.Reads(), t.Outcomes()),
		Publish: together(consume(events.StreamMessage, t.Durable()), consume(events.StreamOutcome, t.Durable()))}
	for _, a := range t.Accounts {
		conversations := "$KV." + events.BucketConversations + "." + a.Corp + "." + a.OpenKfID + ".>"
		id.Publish = append(id.Publish,
			"$JS.API.DIRECT.GET."+kv(events.BucketConversations)+"."+conversations,
			"kf."+string(events.KindAPI)+"."+a.Corp+".>")
		for _, verb := range events.Verbs() {
			id.Publish = append(id.Publish, "kf."+string(events.KindCommand)+"."+t.Name+"."+a.Corp+"."+a.OpenKfID+"."+verb+".*")
		}
		id.Subscribe = append(id.Subscribe, conversations)
	}
	return id
}
