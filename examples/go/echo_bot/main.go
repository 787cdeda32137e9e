// Command echo_bot answers every text message with itself. It knows NATS and JSON, and nothing of WeChat's rules: the sender
// keeps them, and says what came of each answer.
//
//	go run ./cmd/kfbus dev        in one terminal
//	go run ./examples/go/echo_bot in another
//
// KF_NATS_URL is nats://127.0.0.1:4222 unless you say otherwise. A durable consumer keeps the place: messages that came while
// the bot was down are answered when it is back, as long as their windows are open.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, cmp.Or(os.Getenv("KF_NATS_URL"), nats.DefaultURL), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "echo_bot:", err)
		os.Exit(1)
	}
}

// inbound is what the bot reads of a CloudEvent.
type inbound struct {
	ID             string `json:"id"`
	ExternalUserID string `json:"externaluserid"`
	Data           struct {
		OpenKfID string `json:"open_kfid"`
		Origin   int    `json:"origin"`
		Text     struct {
			Content string `json:"content"`
		} `json:"text"`
	} `json:"data"`
}

func run(ctx context.Context, url string, out io.Writer) error {
	nc, err := nats.Connect(url, nats.Name("echo_bot"))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	messages, err := js.CreateOrUpdateConsumer(ctx, "KF_MESSAGE", jetstream.ConsumerConfig{
		Durable: "echo_bot", FilterSubject: "kf.message.*.*.text.>", AckPolicy: jetstream.AckExplicitPolicy,
		DeliverPolicy: jetstream.DeliverNewPolicy, AckWait: 30 * time.Second,
	})
	if err != nil {
		return fmt.Errorf("KF_MESSAGE: %w", err)
	}
	outcomes, err := nc.Subscribe("kf.outcome.echo.>", func(m *nats.Msg) { fmt.Fprintf(out, "%s\n", m.Subject) })
	if err != nil {
		return err
	}
	defer func() { _ = outcomes.Unsubscribe() }()
	consuming, err := messages.Consume(func(m jetstream.Msg) {
		if err := echo(ctx, js, m); err != nil {
			fmt.Fprintln(out, "not answered yet:", err)
			_ = m.NakWithDelay(time.Second)
			return
		}
		_ = m.Ack() // lost: it comes again, and the same command id answers once
	})
	if err != nil {
		return err
	}
	<-ctx.Done()
	consuming.Stop()
	return nil
}

// echo publishes the command that answers m. Its id is the message's: however often m comes, one answer goes out.
func echo(ctx context.Context, js jetstream.JetStream, m jetstream.Msg) error {
	var in inbound
	if err := json.Unmarshal(m.Data(), &in); err != nil || in.Data.Origin != 3 { // 3: a customer wrote it
		return nil //nolint:nilerr // not for us
	}
	at := strings.Split(m.Subject(), ".") // kf.message.<corp>.<open_kfid>.text.<external_userid>
	subject := strings.Join([]string{"kf.command.echo", at[2], at[3], "send", at[5]}, ".")
	body, err := json.Marshal(map[string]any{
		"msgtype": "text", "text": map[string]string{"content": in.Data.Text.Content},
		"open_kfid": in.Data.OpenKfID, "external_userid": in.ExternalUserID, // the true ids: subjects may hold hashes
		"causationid": in.ID,
	})
	if err != nil {
		return err
	}
	_, err = js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: body, Header: nats.Header{"Nats-Msg-Id": {"echo-" + in.ID}}})
	return err
}
