package kfsim_test

import (
	"fmt"
	"net/http/httptest"
	"time"

	"github.com/kfbus/kfbus/pkg/kfsim"
)

func Example() {
	begin := func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }
	sim, err := kfsim.New(kfsim.Config{Seed: 1, Now: begin})
	if err != nil {
		panic(err)
	}
	defer sim.Close()
	platform := httptest.NewServer(sim.Platform()) // point the client here
	defer platform.Close()

	corp, _ := sim.AddCorp(kfsim.Corp{})
	desk, _ := sim.AddAccount(kfsim.Account{OpenKfID: "wkDESK"})
	ann, _ := sim.AddCustomer(kfsim.Customer{ExternalUserID: "wmANN"})
	_, _ = sim.CustomerSays(desk.OpenKfID, ann.ExternalUserID, "你好")
	sim.Clock().Advance(48 * time.Hour)

	talk, _ := sim.Conversation(desk.OpenKfID, ann.ExternalUserID)
	fmt.Println(len(corp.Secrets), "secret, window ends", talk.WindowEnds.Format(time.DateTime), "and it is", sim.Clock().Now().Format(time.DateTime))
	for _, m := range sim.Phone(desk.OpenKfID, ann.ExternalUserID) {
		fmt.Println(m.From, m.MsgType, string(m.Body))
	}
	// Output:
	// 1 secret, window ends 2026-01-04 03:04:05 and it is 2026-01-04 03:04:05
	// customer text {"content":"你好"}
}
