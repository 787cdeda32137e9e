package console

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
)

// tab drives the page in a browser.
type tab struct {
	t      *testing.T
	within func() (context.Context, context.CancelFunc) // of one step
}

func (b tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := b.within()
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
}

// sees waits until a JavaScript expression is true.
func (b tab) sees(what, expression string) {
	b.t.Helper()
	ctx, cancel := b.within()
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool](expression)); err != nil {
		ctx, cancel := b.within()
		defer cancel()
		now, _ := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
		b.t.Fatalf("waited for %s: %v; the page says:\n%s", what, err, now)
	}
}

// step is true when the middle shows a step of a kind whose summary has a text.
func stepSeen(kind, text string) string {
	return `[...document.querySelectorAll('.step[data-kind="` + kind + `"]')].some(e => e.querySelector('.summary').textContent.includes("` + text + `"))`
}

// bubble is true when the phone shows a message with a text.
func bubbleSeen(from, text string) string {
	return `[...document.querySelectorAll('.message[data-from="` + from + `"] .bubble')].some(e => e.textContent.includes("` + text + `"))`
}

func TestPageInABrowser(t *testing.T) {
	browser := testkit.Browser(t)
	b := tab{t, func() (context.Context, context.CancelFunc) { return context.WithTimeout(browser, testkit.Patience) }}
	w := newWorld(t)
	w.pipeline()
	shots := os.Getenv("KF_SCREENSHOTS")
	if shots == "" {
		shots = t.TempDir()
	}
	shot := func(name string) {
		b.sees("the end of all animations", `document.getAnimations().every(a => a.playState !== 'running')`)
		testkit.Screenshot(t, browser, filepath.Join(shots, name+".png"))
	}

	b.do("open", chromedp.Navigate(w.page.URL), chromedp.WaitVisible("#say-text"))
	b.sees("the feed", `document.querySelector('#link').dataset.state === 'live'`)
	shot("1-empty-light-en")
	b.do("switch to Chinese", chromedp.Click("#lang"))
	b.sees("Chinese", `document.documentElement.lang === 'zh-CN' && document.querySelector('#phone-title').textContent === '客户手机'`)

	const question = "你好，我的订单到哪里了？"
	b.do("write as the customer", chromedp.SendKeys("#say-text", question+"\r"))
	b.sees("the bubble", bubbleSeen("customer", question))
	b.sees("an empty input", `document.querySelector('#say-text').value === ''`)
	for _, s := range [][2]string{{"webhook", "#1"}, {"callback", "kf_msg_or_event"}, {"webhook", "HTTP 200"}, {"page", "1 item"}, {"message", question}} {
		b.sees(s[0], stepSeen(s[0], s[1]))
	}
	b.sees("one flow", `new Set([...document.querySelectorAll('.step:is([data-kind=webhook],[data-kind=callback],[data-kind=page],[data-kind=message])')].map(e => e.dataset.flow)).size === 1`)
	b.sees("the window", `/^4[78]:/.test(document.querySelector('#left').textContent)`)
	b.sees("five sends left", `document.querySelectorAll('#pips .on').length === 5`)

	const reply = "您好，已发货，明天送达。"
	b.do("answer as the team", chromedp.SendKeys("#answer-text", reply+"\r"))
	b.sees("the answer on the phone", bubbleSeen("account", reply))
	b.sees("the outcome below the answer", `document.querySelector('#answer-notice').textContent.includes('accepted')`)
	b.sees("four sends left", `document.querySelectorAll('#pips .on').length === 4`)
	for _, s := range [][2]string{{"command", reply}, {"call", "errcode 0"}, {"outcome", "accepted"}} {
		b.sees(s[0], stepSeen(s[0], s[1]))
	}
	// The platform's journal and the bus are two sources: what it tells of a call before the bus tells of the command belongs to
	// no flow yet (0). What comes from the bus always has its flow.
	b.sees("still one flow", `new Set([...document.querySelectorAll('.step:not(.quiet)')].filter(e => e.dataset.flow !== '0' || !['call', 'platform'].includes(e.dataset.kind))
		.map(e => e.dataset.flow)).size === 1`)

	b.do("expand", chromedp.Click(`.step[data-kind="command"] .row`))
	b.sees("the very command", `document.querySelector('.detail .subject').textContent === 'kf.command.console.`+corp+`.`+kfID+`.send.`+ann+`' &&
		JSON.parse(document.querySelector('.detail pre').textContent).text.content === '`+reply+`'`)
	shot("2-answered-light-zh")
	b.do("fold", chromedp.Click(`.step[data-kind="command"] .row`))
	b.sees("folded", `!document.querySelector('.detail')`)

	w.publish(events.VerbSend, `{"command_id":"menu-1","msgtype":"msgmenu","msgmenu":{"head_content":"请问需要什么帮助？",
		"list":[{"type":"click","click":{"id":"1","content":"查询物流"}},{"type":"click","click":{"id":"2","content":"转人工"}}],"tail_content":"点击即可"}}`)
	b.do("tap", chromedp.Click(`.bubble .menu`))
	b.sees("the tap's message", bubbleSeen("customer", "查询物流"))
	b.do("recall", chromedp.Evaluate[chromedp.Void](`[...document.querySelectorAll('.message[data-from=customer] .inline')].at(-1).click()`))
	b.sees("the recalled message", `[...document.querySelectorAll('.message[data-from=customer] .gone')].length === 1`)
	b.sees("the event", stepSeen("event", "user_recall_msg"))

	const markup = `<img src=x onerror="document.title='owned'"><b>bold</b>`
	w.page.CloseClientConnections() // the feed comes back by itself, and nothing is shown twice
	b.do("markup", chromedp.SendKeys("#say-text", markup+"\r"))
	b.sees("markup as text", `[...document.querySelectorAll('.bubble')].some(e => e.innerText === String.raw`+"`"+markup+"`"+`)`)
	b.sees("markup as text in the middle", stepSeen("message", "<b>bold</b>"))
	b.sees("no markup at all", `!document.querySelector('main img, main b') && document.title === 'kfbus dev'`)
	b.sees("every step once", `(() => { const seen = [...document.querySelectorAll('.step[data-kind=message] .summary')].map(e => e.textContent);
		return seen.length === 3 && new Set(seen).size === 3 })()`)

	b.do("English and dark", chromedp.Click("#lang"), chromedp.Click("#theme"), chromedp.Click("#theme"))
	b.sees("English and dark", `document.documentElement.lang === 'en' && getComputedStyle(document.documentElement).colorScheme === 'dark'`)
	b.do("hand over", chromedp.Click("#hand-over:enabled"))
	b.sees("the pool", `document.querySelector('#session').textContent.includes('pool')`)
	b.do("pick up", chromedp.Click("#pick-up:enabled"))
	b.sees("the human", `document.querySelector('#session').textContent.includes('lisi')`)
	b.do("answer too late", chromedp.SendKeys("#answer-text", "too late\r"))
	b.sees("the refusal", `document.querySelector('#answer-notice').textContent.startsWith('refused')`)
	b.do("an outcome", chromedp.Evaluate[chromedp.Void](`[...document.querySelectorAll('.step[data-kind=outcome] .row')].at(-1).click()`))
	shot("3-refused-dark-en")

	b.do("two days", chromedp.Click("#end:enabled"), chromedp.Click(`[data-advance="48h"]`))
	b.sees("the closed window", `document.querySelector('#left').textContent === 'closed' && document.querySelector('#offset').textContent === '+48 h'`)

	b.do("phone width", chromedp.EmulateViewport(390, 844))
	b.sees("nothing wider than the phone", `[...document.querySelectorAll('body *')].every(e => e.getBoundingClientRect().right <= 390)`)
	shot("4-phone-customer")
	b.do("middle", chromedp.Click(`[data-view-button=steps]`))
	shot("5-phone-steps")
	b.do("right", chromedp.Click(`[data-view-button=conversation]`))
	shot("6-phone-conversation")
	b.do("tablet width", chromedp.EmulateViewport(900, 900))
	shot("7-tablet")
}
