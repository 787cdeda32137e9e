package kfapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// script answers with one body after the other, and the last one for ever.
func script(bodies ...string) http.HandlerFunc {
	i := 0
	return func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, bodies[min(i, len(bodies)-1)])
		i++
	}
}

func syncPage(next string, more int, ids ...string) string {
	var list []string
	for _, id := range ids {
		list = append(list, fmt.Sprintf(`{"msgid":"%s","msgtype":"text"}`, id))
	}
	return fmt.Sprintf(`{"errcode":0,"errmsg":"ok","next_cursor":"%s","has_more":%d,"msg_list":[%s]}`, next, more, strings.Join(list, ","))
}

func TestSyncAll(t *testing.T) {
	same := slices.Repeat([]string{syncPage("c0", 1)}, 19)
	for _, c := range []struct {
		name    string
		bodies  []string
		pages   int
		ids     string
		cursors string // that were asked with
		wrong   error
	}{
		{"one page", []string{syncPage("c1", 0, "a")}, 1, "a", "c0", nil},
		{"nothing new", []string{syncPage("c0", 0)}, 1, "", "c0", nil},
		{"empty pages in between", []string{syncPage("c1", 1), syncPage("c2", 1, "a"), syncPage("c3", 1), syncPage("c4", 0, "b", "c")}, 4, "a b c", "c0 c1 c2 c3", nil},
		{"no cursor keeps the old one", []string{syncPage("c1", 1, "a"), syncPage("", 1), syncPage("c2", 0, "b")}, 3, "a b", "c0 c1 c1", nil},
		{"a cursor that moves in time", append(same, syncPage("c1", 1), syncPage("c2", 0, "a")), 21, "a", strings.Repeat("c0 ", 20) + "c1", nil},
		{"a cursor that never moves", []string{syncPage("c0", 1)}, 20, "", strings.TrimSpace(strings.Repeat("c0 ", 20)), ErrNoProgress},
		{"no cursor for ever", []string{syncPage("", 1)}, 20, "", strings.TrimSpace(strings.Repeat("c0 ", 20)), ErrNoProgress},
		{"the same page for ever", []string{syncPage("c1", 1, "a")}, 21, strings.TrimSpace(strings.Repeat("a ", 21)), "c0" + strings.Repeat(" c1", 20), ErrNoProgress},
		{"two cursors in turns", slices.Repeat([]string{syncPage("c1", 1), syncPage("c0", 1)}, 20), 21, "", strings.Repeat("c0 c1 ", 10) + "c0", ErrNoProgress},
		{"a refusal", []string{syncPage("c1", 1, "a"), `{"errcode":95007,"errmsg":"invalid msg token"}`}, 1, "a", "c0 c1", &Error{Op: "sync_msg", Code: 95007, Msg: "invalid msg token"}},
	} {
		s := serve(t, script(c.bodies...))
		var ids, cursors []string
		var got error
		pages, last := 0, ""
		for page, err := range s.SyncAll(background(t), token, SyncMsgRequest{Cursor: "c0", OpenKfID: "wk1"}) {
			if err != nil {
				got = err
				continue // nothing may follow
			}
			pages++
			for _, it := range page.MsgList {
				ids = append(ids, it.MsgID)
			}
			last = page.NextCursor
		}
		for _, r := range s.reqs {
			var req SyncMsgRequest
			if err := json.Unmarshal([]byte(r.body), &req); err != nil {
				t.Fatal(err)
			}
			cursors = append(cursors, req.Cursor)
		}
		var refused *Error
		if errors.As(c.wrong, &refused) {
			if code, _ := Code(got); code != refused.Code {
				t.Errorf("%s: got %v, want %v", c.name, got, c.wrong)
			}
		} else if !errors.Is(got, c.wrong) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.wrong)
		}
		if pages != c.pages || strings.Join(ids, " ") != c.ids || strings.Join(cursors, " ") != c.cursors || last == "" {
			t.Errorf("%s: got %d pages, %v, asked with %v, last %q", c.name, pages, ids, cursors, last)
		}
	}
	s := serve(t, script(syncPage("c1", 1, "a")))
	for range s.SyncAll(background(t), token, SyncMsgRequest{}) {
		break
	}
	if n := s.count(); n != 1 {
		t.Errorf("a loop that was left asked %d times, want 1", n)
	}
}

func TestAccounts(t *testing.T) {
	// platform has n accounts; stuck: it always shows the first of them.
	platform := func(n int, stuck bool) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			var req AccountListRequest
			if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
				t.Error(err)
			}
			if stuck {
				req.Offset = 0
			}
			out := AccountListResponse{AccountList: []Account{}}
			for i := req.Offset; i < min(n, req.Offset+req.Limit); i++ {
				out.AccountList = append(out.AccountList, Account{OpenKfID: fmt.Sprint("wk", i)})
			}
			body, _ := json.Marshal(out)
			io.WriteString(w, `{"errcode":0,`+string(body[1:]))
		}
	}
	for _, c := range []struct {
		name        string
		n           int
		stuck       bool
		want, calls int
		wrong       error
	}{
		{"none", 0, false, 0, 1, nil},
		{"a part of a page", 7, false, 7, 1, nil},
		{"one short of a page", 99, false, 99, 1, nil},
		{"a full page", 100, false, 100, 2, nil},
		{"more than two", 250, false, 250, 3, nil},
		{"the first page again and again", 250, true, 100, 2, ErrNoProgress},
		{"an end that never comes", 1 << 20, false, 10_000, 101, ErrNoProgress},
	} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {})
		s.Client = client(t, handler(t, func(w http.ResponseWriter, r *http.Request) {
			s.mu.Lock()
			s.reqs = append(s.reqs, seen{})
			s.mu.Unlock()
			platform(c.n, c.stuck)(w, r)
		}))
		var got error
		n := 0
		for a, err := range s.Accounts(background(t), token) {
			if err != nil {
				got = err
				continue
			}
			if want := fmt.Sprint("wk", n); a.OpenKfID != want {
				t.Fatalf("%s: got %s, want %s", c.name, a.OpenKfID, want)
			}
			n++
		}
		if n != c.want || s.count() != c.calls || !errors.Is(got, c.wrong) || (got == nil) != (c.wrong == nil) {
			t.Errorf("%s: got %d accounts in %d calls, %v", c.name, n, s.count(), got)
		}
	}
	s := serve(t, says(`{"errcode":48002,"errmsg":"api forbidden"}`))
	for _, err := range s.Accounts(background(t), token) {
		if code, _ := Code(err); code != 48002 {
			t.Errorf("got %v, want 48002", err)
		}
	}
}

func TestCustomerBatchGetAll(t *testing.T) {
	s := serve(t, nil)
	var sizes []int
	s.Client = client(t, handler(t, func(w http.ResponseWriter, r *http.Request) {
		var req CustomerBatchGetRequest
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil || !bool(req.NeedEnterSessionContext) {
			t.Errorf("got %+v, %v", req, err)
		}
		sizes = append(sizes, len(req.ExternalUserIDList))
		if len(sizes) == 4 {
			io.WriteString(w, `{"errcode":-1,"errmsg":"system busy"}`)
			return
		}
		fmt.Fprintf(w, `{"errcode":0,"errmsg":"ok","customer_list":[{"external_userid":"%s"}],"invalid_external_userid":["%s"]}`,
			req.ExternalUserIDList[0], req.ExternalUserIDList[len(req.ExternalUserIDList)-1])
	}))
	ids := make([]string, 250)
	for i := range ids {
		ids[i] = fmt.Sprint("wm", i)
	}
	get := func(ids []string) (CustomerBatchGetResponse, error) {
		return s.CustomerBatchGetAll(background(t), token, CustomerBatchGetRequest{ids, true})
	}
	got, err := get(ids)
	if err != nil || !slices.Equal(sizes, []int{100, 100, 50}) || len(got.CustomerList) != 3 || got.CustomerList[2].ExternalUserID != "wm200" ||
		!slices.Equal(got.InvalidExternalUserID, []string{"wm99", "wm199", "wm249"}) || got.ErrMsg != "ok" || got.Raw != nil {
		t.Errorf("got %+v, %v in %v", got, err, sizes)
	}
	if got, err := get(ids[:1]); !Busy(err) || len(got.CustomerList) != 0 {
		t.Errorf("a refusal: got %+v, %v", got, err)
	}
	sizes = nil
	if _, err := get(nil); err != nil || sizes != nil {
		t.Errorf("no ids: got %v and %v", err, sizes)
	}
	if _, err := get(append(ids, "")); !NotSent(err) || sizes != nil {
		t.Errorf("a bad id behind 250 good ones: got %v and %v", err, sizes)
	}
	sizes = []int{1, 2} // the second call fails
	if got, err := get(ids); !Busy(err) || len(got.CustomerList) != 1 {
		t.Errorf("half of it: got %+v, %v", got, err)
	}
}
