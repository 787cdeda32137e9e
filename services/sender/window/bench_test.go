package window

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

// BenchmarkSend is the ledger's part of one send: read, decide, write, read, settle, write.
func BenchmarkSend(b *testing.B) {
	for _, records := range []int{0, 10, maxRecords - 1} {
		b.Run(fmt.Sprint(records, " records"), func(b *testing.B) {
			l := opened()
			for i := range records {
				rec := newRecord(send(fmt.Sprint("f", i)))
				l.Records = append(l.Records, rec.finished(Refused, ReasonQuotaSpent, 0, after(0)))
			}
			stored, err := json.Marshal(l)
			if err != nil {
				b.Fatal(err)
			}
			write := func(l Ledger) (data []byte) {
				if data, err = json.Marshal(l); err != nil {
					b.Fatal(err)
				}
				return data
			}
			read := func(data []byte) (l Ledger) {
				if err = json.Unmarshal(data, &l); err != nil {
					b.Fatal(err)
				}
				return l
			}
			c, now := send("s1"), after(time.Minute)
			b.ReportAllocs()
			for b.Loop() {
				l, a := rules.Decide(read(stored), c, now)
				l, res := rules.Settle(read(write(l)), c, a.Attempt, AnswerOf(0), now)
				if write(l); res.Outcome.State != Accepted {
					b.Fatalf("got %+v", res)
				}
			}
			b.ReportMetric(float64(len(stored)), "B/ledger")
		})
	}
}
