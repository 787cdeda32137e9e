package natsconf_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/natsconf"
	"github.com/kfbus/kfbus/internal/testkit"
)

// attack is one subject that somebody might try. orders attacks billing.
type attack struct {
	name    string
	listen  bool // subscribe; else publish
	subject string
}

var attacks = []attack{
	// Forged input and output.
	{"forge a doorbell", false, "kf.callback.ww1.wkB"},
	{"forge a doorbell in a lane", false, "kf.lane.callback.0.ww1.wkB"},
	{"forge a customer's message", false, "kf.message.ww1.wkB.text.wm1"},
	{"forge an event", false, "kf.event.ww1.wkB.session_status_change.wm1"},
	{"forge history", false, "kf.history.ww1.wkB.text.wm1"},
	{"forge an app message", false, "kf.app.ww1.1000002.message.text.lisi"},
	{"move a cursor", false, "kf.cursor.ww1.wkB"},
	{"forge another's outcome", false, "kf.outcome.billing.ww1.wkB.accepted.wm1"},
	{"forge an own outcome", false, "kf.outcome.orders.ww1.wkA.accepted.wm1"},
	{"bury in a service's name", false, "kf.dead.sender.invalid"},
	{"publish as a replay", false, "kf.replay.fix.message.ww1.wkB.text.wm1"},
	// Commands.
	{"command an own account", false, "kf.command.orders.ww1.wkA.send.wm1"},
	{"command another's account", false, "kf.command.orders.ww1.wkB.send.wm1"},
	{"command as another team", false, "kf.command.billing.ww1.wkB.send.wm1"},
	{"command as another team on an own account", false, "kf.command.billing.ww1.wkA.send.wm1"},
	{"command another corp's account", false, "kf.command.orders.ww2.wkA.send.wm1"},
	{"command with an unknown verb", false, "kf.command.orders.ww1.wkA.erase.wm1"},
	{"command in a lane", false, "kf.lane.command.0.orders.ww1.wkA.send.wm1"},
	{"arm a timer of the sender", false, "kf.timer.sender.x"},
	{"arm a timer of the syncer", false, "kf.timer.syncer.x"},
	{"let a timer fall due", false, "kf.due.sender.x"},
	// Requests.
	{"ask the platform", false, "kf.api.ww1.account.list"},
	{"ask the platform of another corp", false, "kf.api.ww2.account.list"},
	{"answer for the sender", true, "kf.api.ww1.>"},
	{"answer discovery", true, "$SRV.>"},
	{"ask discovery", false, "$SRV.PING"},
	{"forge a reply to the sender", false, "_INBOX_sender.x.y"},
	{"forge a reply to another team", false, "_INBOX_team-billing.x.y"},
	// Access tokens.
	{"plant a token", false, "$KV.kf_tokens.ww1.kf"},
	{"take the keepers' lease", false, "$KV.kf_tokens.ww1.kf.leader"},
	{"report a token", false, "kf.token.suspect.ww1"},
	{"hear reports", true, "kf.token.suspect.*"},
	{"hear a new token", true, "$KV.kf_tokens.>"},
	{"read a token from the leader", false, "$JS.API.STREAM.MSG.GET.KV_kf_tokens"},
	{"read a token from any replica", false, "$JS.API.DIRECT.GET.KV_kf_tokens"},
	{"read a token by its key", false, "$JS.API.DIRECT.GET.KV_kf_tokens.$KV.kf_tokens.ww1.kf"},
	{"read tokens by a consumer", false, "$JS.API.CONSUMER.CREATE.KV_kf_tokens.x"},
	{"read tokens by a filtered consumer", false, "$JS.API.CONSUMER.CREATE.KV_kf_tokens.x.$KV.kf_tokens.>"},
	{"read tokens by an old consumer", false, "$JS.API.CONSUMER.DURABLE.CREATE.KV_kf_tokens.x"},
	{"wipe the tokens", false, "$JS.API.STREAM.PURGE.KV_kf_tokens"},
	// Other buckets.
	{"write the ledger", false, "$KV.kf_ledger.ww1.wkB.wm1"},
	{"read the ledger", false, "$JS.API.DIRECT.GET.KV_kf_ledger.$KV.kf_ledger.ww1.wkB.wm1"},
	{"wipe the ledger", false, "$JS.API.STREAM.PURGE.KV_kf_ledger"},
	{"write a conversation", false, "$KV.kf_conversations.ww1.wkA.wm1"},
	{"read an own conversation", false, "$JS.API.DIRECT.GET.KV_kf_conversations.$KV.kf_conversations.ww1.wkA.wm1"},
	{"read another's conversation", false, "$JS.API.DIRECT.GET.KV_kf_conversations.$KV.kf_conversations.ww1.wkB.wm1"},
	{"read all conversations", false, "$JS.API.DIRECT.GET.KV_kf_conversations"},
	{"list all customers", false, "$JS.API.STREAM.INFO.KV_kf_conversations"},
	{"watch another's conversations", true, "$KV.kf_conversations.ww1.wkB.>"},
	{"pause all sends", false, "$KV.kf_throttle.ww1.send_msg"},
	{"forge a file", false, "$O.kf_media.M.eA=="},
	{"wipe the files", false, "$JS.API.STREAM.PURGE.OBJ_kf_media"},
	{"read a file", false, "$JS.API.STREAM.MSG.GET.OBJ_kf_media"},
	{"read files by a consumer", false, "$JS.API.CONSUMER.CREATE.OBJ_kf_media.x"},
	// Streams.
	{"mirror a stream", false, "$JS.API.STREAM.CREATE.STOLEN"},
	{"change a stream", false, "$JS.API.STREAM.UPDATE.KF_MESSAGE"},
	{"delete a stream", false, "$JS.API.STREAM.DELETE.KF_MESSAGE"},
	{"purge messages", false, "$JS.API.STREAM.PURGE.KF_MESSAGE"},
	{"purge commands", false, "$JS.API.STREAM.PURGE.KF_COMMAND"},
	{"delete a message", false, "$JS.API.STREAM.MSG.DELETE.KF_MESSAGE"},
	{"delete a command", false, "$JS.API.STREAM.MSG.DELETE.KF_COMMAND"},
	{"delete a dead letter", false, "$JS.API.STREAM.MSG.DELETE.KF_DEAD"},
	{"copy a stream away", false, "$JS.API.STREAM.SNAPSHOT.KF_MESSAGE"},
	{"restore a stream", false, "$JS.API.STREAM.RESTORE.STOLEN"},
	{"move a stream's leader", false, "$JS.API.STREAM.LEADER.STEPDOWN.KF_MESSAGE"},
	{"remove a replica", false, "$JS.API.STREAM.PEER.REMOVE.KF_MESSAGE"},
	{"list streams", false, "$JS.API.STREAM.NAMES"},
	{"list a stream's subjects", false, "$JS.API.STREAM.INFO.KF_MESSAGE"},
	{"read any message", false, "$JS.API.STREAM.MSG.GET.KF_MESSAGE"},
	{"read any message from a replica", false, "$JS.API.DIRECT.GET.KF_MESSAGE"},
	{"read the last message of another", false, "$JS.API.DIRECT.GET.KF_MESSAGE.kf.message.ww1.wkB.text.wm1"},
	{"read commands", false, "$JS.API.STREAM.MSG.GET.KF_COMMAND"},
	{"read outcomes", false, "$JS.API.STREAM.MSG.GET.KF_OUTCOME"},
	{"read dead letters", false, "$JS.API.STREAM.MSG.GET.KF_DEAD"},
	// Consumers.
	{"make a consumer", false, "$JS.API.CONSUMER.CREATE.KF_MESSAGE.x"},
	{"make a consumer of an own account", false, "$JS.API.CONSUMER.CREATE.KF_MESSAGE.x.kf.message.ww1.wkA.>"},
	{"make an old consumer", false, "$JS.API.CONSUMER.CREATE.KF_MESSAGE"},
	{"make an old durable", false, "$JS.API.CONSUMER.DURABLE.CREATE.KF_MESSAGE.x"},
	{"make a consumer of commands", false, "$JS.API.CONSUMER.CREATE.KF_COMMAND.x"},
	{"delete another's consumer", false, "$JS.API.CONSUMER.DELETE.KF_MESSAGE.team-billing"},
	{"delete a lane", false, "$JS.API.CONSUMER.DELETE.KF_COMMAND.send-0"},
	{"pause another's consumer", false, "$JS.API.CONSUMER.PAUSE.KF_MESSAGE.team-billing"},
	{"take another's messages", false, "$JS.API.CONSUMER.MSG.NEXT.KF_MESSAGE.team-billing"},
	{"take the sender's messages", false, "$JS.API.CONSUMER.MSG.NEXT.KF_MESSAGE.sender"},
	{"take another's outcomes", false, "$JS.API.CONSUMER.MSG.NEXT.KF_OUTCOME.team-billing"},
	{"take commands", false, "$JS.API.CONSUMER.MSG.NEXT.KF_COMMAND.send-0"},
	{"take doorbells", false, "$JS.API.CONSUMER.MSG.NEXT.KF_CALLBACK.sync-0"},
	{"take own messages", false, "$JS.API.CONSUMER.MSG.NEXT.KF_MESSAGE.team-orders"},
	{"acknowledge own messages", false, "$JS.ACK.KF_MESSAGE.team-orders.1.1.1.1.0"},
	{"acknowledge another's messages", false, "$JS.ACK.KF_MESSAGE.team-billing.1.1.1.1.0"},
	{"acknowledge commands", false, "$JS.ACK.KF_COMMAND.send-0.1.1.1.1.0"},
	{"acknowledge doorbells", false, "$JS.ACK.KF_CALLBACK.sync-0.1.1.1.1.0"},
	{"acknowledge in the newer form", false, "$JS.ACK._.acc.KF_MESSAGE.team-billing.1.1.1.1.0.x"},
	// Listening.
	{"hear all inboxes", true, "_INBOX.>"},
	{"hear the sender's inbox", true, "_INBOX_sender.>"},
	{"hear another team's inbox", true, "_INBOX_team-billing.>"},
	{"hear everything", true, ">"},
	{"hear all of kfbus", true, "kf.>"},
	{"hear an own account", true, "kf.message.ww1.wkA.>"},
	{"hear another's account", true, "kf.message.ww1.wkB.>"},
	{"hear a whole corp", true, "kf.message.ww1.*.>"},
	{"hear another's outcomes", true, "kf.outcome.billing.>"},
	{"hear commands", true, "kf.command.>"},
	{"hear doorbells", true, "kf.callback.>"},
	{"hear dead letters", true, "kf.dead.>"},
	{"hear calls of JetStream", true, "$JS.API.>"},
	{"hear acknowledgements", true, "$JS.ACK.>"},
	{"hear advisories", true, "$JS.EVENT.>"},
	{"hear the system", true, "$SYS.>"},
	{"ask the system", false, "$SYS.REQ.SERVER.PING"},
	{"purge the account", false, "$JS.API.ACCOUNT.PURGE.KF"},
}

// own is what each identity may do of all that, and why it must: all else is refused.
var own = map[string][]string{
	natsconf.Ingress: { // it keeps callbacks and app messages
		"forge a doorbell", "forge an app message", "list a stream's subjects"},
	natsconf.Syncer: { // it rings its own bells, stores pages and cursors, and reads them back
		"forge a doorbell", "forge a customer's message", "forge an event", "forge history", "move a cursor", "arm a timer of the syncer",
		"list a stream's subjects", "read any message", "read any message from a replica", "take doorbells", "acknowledge doorbells",
		"report a token", "hear a new token", "read a token by its key", "pause all sends",
		"forge a file", "wipe the files", "read a file"},
	natsconf.Sender: { // it takes commands, keeps the books and tells what became of them
		"forge another's outcome", "forge an own outcome", "bury in a service's name", "arm a timer of the sender",
		"answer for the sender", "answer discovery", "hear the sender's inbox",
		"report a token", "hear a new token", "read a token by its key", "pause all sends",
		"write the ledger", "read the ledger", "write a conversation", "read an own conversation", "read another's conversation", "list all customers",
		"list a stream's subjects", "read any message", "read commands", "read outcomes", "take the sender's messages", "take commands", "acknowledge commands",
		"forge a file", "wipe the files", "read a file",
		"forge a doorbell", "delete a command"}, // it has accounts pulled before a refusal, and takes out what no lane holds
	natsconf.Tokenkeeper: {"plant a token", "take the keepers' lease", "hear reports", "read a token by its key"},
	natsconf.Topology: { // it makes and changes streams and durables
		"change a stream", "list a stream's subjects", "list all customers",
		"make a consumer", "make a consumer of an own account", "make a consumer of commands"},
	natsconf.Operator: { // people who see everything but tokens, and publish again what was lost
		"forge a doorbell", "publish as a replay", "let a timer fall due",
		"command an own account", "command another's account", "command as another team", "command as another team on an own account",
		"command another corp's account", "command with an unknown verb",
		"ask the platform", "ask the platform of another corp", "answer for the sender", "ask discovery", "hear reports",
		"read an own conversation", "read another's conversation", "watch another's conversations", "list all customers",
		"forge a file", "wipe the files", "read a file", "delete a dead letter",
		"list streams", "list a stream's subjects", "read any message", "read commands", "read outcomes", "read dead letters",
		"make a consumer", "make a consumer of an own account", "delete another's consumer",
		"take another's messages", "take the sender's messages", "take another's outcomes", "take own messages",
		"hear all of kfbus", "hear an own account", "hear another's account", "hear a whole corp", "hear another's outcomes",
		"hear commands", "hear doorbells", "hear dead letters"},
	"team-orders": {"command an own account", "ask the platform", "read an own conversation", "take own messages", "acknowledge own messages", "hear an own account"},
	"team-billing": { // wkB and its own durables are its own
		"command as another team", "ask the platform", "read another's conversation", "watch another's conversations",
		"take another's messages", "take another's outcomes", "acknowledge another's messages", "hear another team's inbox", "hear another's account", "hear another's outcomes"},
	"team-audit": { // every account of ww1
		"ask the platform", "read an own conversation", "read another's conversation", "watch another's conversations",
		"hear an own account", "hear another's account", "hear a whole corp"},
}

// TestMatrix lets every identity try every attack. What the server does not refuse counts as reached.
func TestMatrix(t *testing.T) {
	b := newBroker(t)
	cells, reached := 0, map[string][]string{}
	for _, id := range b.ids {
		c := b.as(id.Name)
		for _, a := range attacks {
			cells++
			local := a
			local.subject = natsconf.Local(a.subject) // in an account of its own, JetStream has another name
			if !a.refused(t, c) || id.Apart && !local.refused(t, c) {
				reached[id.Name] = append(reached[id.Name], a.name)
			}
		}
	}
	for _, id := range b.ids {
		want := own[id.Name]
		if id.Name == natsconf.Admin { // may do anything: so each attack is one that works
			want = nil
			for _, a := range attacks {
				want = append(want, a.name)
			}
		}
		for _, name := range reached[id.Name] {
			if !slices.Contains(want, name) {
				t.Errorf("%s can %s", id.Name, name)
			}
		}
		for _, name := range want {
			if !slices.Contains(reached[id.Name], name) {
				t.Errorf("%s cannot %s", id.Name, name)
			}
		}
		t.Logf("%-13s %3d of %d attacks reached, all of them its own work", id.Name, len(reached[id.Name]), len(attacks))
	}
	t.Logf("%d identities, %d attacks, %d cells", len(b.ids), len(attacks), cells)
}

// refused tries it, and says whether the server refused.
func (a attack) refused(t *testing.T, c *bus.Bus) bool {
	t.Helper()
	var err error
	if a.listen {
		var sub *nats.Subscription
		if sub, err = c.NC.SubscribeSync(a.subject); err == nil {
			defer func() { _ = sub.Unsubscribe() }()
		}
	} else {
		err = c.NC.PublishMsg(&nats.Msg{Subject: a.subject, Data: []byte("not JSON")})
	}
	if err == nil {
		err = c.NC.FlushTimeout(testkit.Patience)
	}
	if err != nil {
		t.Fatalf("%s: %v", a.name, err)
	}
	// The server says so before it answers the flush.
	last := c.NC.LastError()
	return last != nil && strings.Contains(last.Error(), "ermissions") && strings.Contains(last.Error(), fmt.Sprintf("%q", a.subject))
}
