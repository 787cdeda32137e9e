// Package kfsim is WeChat Customer Service (微信客服, "Kf"), simulated: the platform as far as its
// documents and the people who use it know it, for testing any client in any language without an
// account, and for finding out afterwards what really happened.
//
// It is written from the platform's pages and imports nothing of the gateway but the callback
// cryptography, so that it can disagree with the gateway. What the pages leave open is a field of
// Personality, with a default and alternatives.
//
// # Parts
//
// [Sim.Platform] answers the platform's paths under /cgi-bin. [Sim.Run] delivers callbacks, signed,
// encrypted and repeated. [Sim.Control] is the same as the methods of Sim, over HTTP and JSON, for a
// second port. [Sim.Clock] is a virtual clock that can jump and run faster. [Sim.AddFault] makes calls go wrong.
// [Sim.Journal] is everything it did, numbered, without secrets and without anybody's text.
//
//	sim, _ := kfsim.New(kfsim.Config{Seed: 1})
//	defer sim.Close()
//	platform := httptest.NewServer(sim.Platform())
//	corp, _ := sim.AddCorp(kfsim.Corp{CallbackURL: "http://127.0.0.1:8080/callback"})
//	sim.AddAccount(kfsim.Account{OpenKfID: "wkDESK"})
//	sim.AddCustomer(kfsim.Customer{ExternalUserID: "wmANN"})
//	go sim.Run(ctx)
//	sim.CustomerSays("wkDESK", "wmANN", "你好")
//
// # Rules it keeps
//
//   - Every period is half-open: it holds up to, and not including, its end. A window of 48 hours is
//     closed at exactly 48 hours, a message can be recalled up to, not at, 120 seconds.
//   - send_msg is decided in the order token, address and app, frequency, account, shape, message
//     type and body, customer, repeated msgid, session state, window, count, what the corp may send,
//     members and media.
//   - A refused send uses up neither its msgid nor a place among the five.
//   - A session lapses 48 hours after the customer's last message; the next one begins another.
//   - Statistics count by local day, at UTC+8: a session on every day on which its customer wrote, a
//     first reply from the moment at which the servicer got the session.
//   - An upload by URL has ended when its call is answered, unless upload_jobs_wait is on; nothing is
//     fetched from any network.
//   - Cursors are opaque and belong to one account; a cursor used again repeats its page, an item's
//     bytes never change.
//
// # What it leaves out
//
// It judges no content but by the words that Corp.ForbiddenWords lists; voice_format is checked and
// changes nothing; of third-party apps there is what the calls answer differently, not their
// authorization; there are no administrators' time-outs. Any errcode can be had by a fault.
//
// # Control API
//
// Bodies and answers are JSON; a field that does not exist, and anything that cannot be done, is a
// 400 with {"error": "…"}. corpid may be left out while there is one corp.
//
//	POST   /corps                 Corp: {} makes everything; the answer holds the secrets
//	PATCH  /corps/{corpid}        Corp: what an administrator decides; fields left out stay
//	PATCH  /accounts/{open_kfid}  Account, likewise
//	POST   /callback              CallbackSettings: what is not empty is changed
//	POST   /verify-url            {"corpid"}: GET the callback URL and compare the echo
//	POST   /accounts              Account
//	DELETE /accounts/{open_kfid}
//	POST   /accounts/authorize    {"open_kfid"}, and /accounts/deauthorize: kf_account_auth_change
//	POST   /customers             Customer
//	POST   /media                 Media: data in base64; the answer is the media_id for /say
//	POST   /say                   Say: a customer writes
//	POST   /tap                   Tap: a customer taps a menu item
//	POST   /enter                 Enter: a customer opens the conversation, by a link or not
//	POST   /upgrade/accept        Contact: a customer takes what upgrade_service recommended
//	POST   /recall                Recall: a customer takes a message back
//	POST   /block                 Block: a customer refuses messages, or not
//	POST   /inject                {"open_kfid", "item"}: any JSON object into the history
//	POST   /hostile               Hostile: an item with hostile ids and texts
//	POST   /servicers             Servicer
//	POST   /servicers/say         ServicerSay
//	POST   /servicers/pickup      ServicerAct, and /servicers/transfer, /servicers/end
//	POST   /servicers/status      Servicer
//	POST   /servicers/recall      Recall
//	POST   /servicers/reject      Reject
//	POST   /servicers/rating      Rating: asked for and, perhaps, given; for the statistics
//	POST   /urls                  RemoteFile: what stands at a URL, for media/upload_by_url
//	POST   /uploads/finish        UploadEnd: of an upload by URL that waits (upload_jobs_wait)
//	POST   /official-accounts     OfficialAccount: for the paths token and stable_token
//	POST   /app-callback          AppCallback: an ordinary WeCom app message or event
//	POST   /fail                  FailSend: an accepted message fails after all
//	POST   /tokens/revoke         {"corpid"}: all access tokens die early
//	POST   /sync-tokens/expire    {"open_kfid"}
//	POST   /clock                 {"advance":"49h"}, {"set":"2026-01-02T03:04:05Z"} or {"speed":60}; GET reads it
//	POST   /faults                Fault; GET lists, DELETE removes all, DELETE /faults/{id} one
//	POST   /script                a script, see ParseScript; GET shows its steps, DELETE ends it
//	POST   /load                  Load: customers who write; GET reads how far it is, DELETE ends it
//	PATCH  /callbacks             CallbackSwitches; GET reads them
//	PATCH  /personality           Personality; GET reads it
//	POST   /reset                 forget everything
//	GET    /state                 overview
//	GET    /journal               ?from=N: JSON lines; &follow=1 goes on
//	GET    /phone                 ?open_kfid=&external_userid=: what the customer sees
//	GET    /phone/changes         JSON lines, one for each conversation that changes
//	GET    /conversation          ?open_kfid=&external_userid=: session, window, messages used
//	GET    /items                 ?open_kfid=: the history, byte for byte
//	GET    /served                ?open_kfid=: msgids that were in a page
//	GET    /sends                 messages accepted from the API
//	GET    /windows               how many were accepted in each window
//	GET    /calls                 ?path=kf/send_msg: requests, and most of them at once
package kfsim
