package natsconf

import (
	"slices"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
)

// The subjects of JetStream's API that an identity needs, by what it does.

func kv(bucket string) string      { return "KV_" + bucket }
func objects(bucket string) string { return "OBJ_" + bucket }

// look lets it ask for a stream's settings and size.
func look(streams ...string) []string { return each("$JS.API.STREAM.INFO.", streams) }

// read lets it read any message of a stream, from the leader.
func read(streams ...string) []string { return each("$JS.API.STREAM.MSG.GET.", streams) }

// readKeys lets it read any key of a bucket.
func readKeys(buckets ...string) []string {
	var out []string
	for _, b := range buckets {
		out = append(out, "$JS.API.DIRECT.GET."+kv(b)+"."+keys(b))
	}
	return out
}

// keys are the subjects of a bucket's values.
func keys(bucket string) string { return "$KV." + bucket + ".>" }

// files are the subjects of an object store's bytes and names.
func files(bucket string) string { return "$O." + bucket + ".>" }

// consume lets it take messages from a durable and acknowledge them. durable may be
// "*" where every durable of the stream is its own.
func consume(stream, durable string) []string {
	ack := "$JS.ACK." + stream + "." + durable + ".>"
	return []string{"$JS.API.CONSUMER.INFO." + stream + "." + durable, "$JS.API.CONSUMER.MSG.NEXT." + stream + "." + durable, ack}
}

// uses are the rights behind what a service asserts at its start: it looks at
// streams and buckets, and takes from its durables.
func uses(service string) []string {
	use := bus.UsesOf(service)
	out := look(use.Streams...)
	for _, b := range use.Buckets {
		out = append(out, look(kv(b))...)
	}
	for _, b := range use.Objects {
		out = append(out, look(objects(b))...)
	}
	for _, d := range use.Consumers {
		if d.Stream == events.StreamCallback || d.Stream == events.StreamCommand {
			d.Name = "*" // lanes: as many as the operator makes
		}
		out = append(out, consume(d.Stream, d.Name)...)
	}
	return out
}

func each(prefix string, names []string) []string {
	out := make([]string, 0, len(names))
	for _, n := range names {
		out = append(out, prefix+n)
	}
	return out
}

// under is every subject of a kind.
func under(kinds ...events.Kind) []string {
	var out []string
	for _, k := range kinds {
		out = append(out, "kf."+string(k)+".>")
	}
	return out
}

func together(lists ...[]string) []string { return slices.Concat(lists...) }
