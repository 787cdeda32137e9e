package kfapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const wireDir = "testdata/wire"

// wire is the example files of a call: "account/list", "request".
func wire(t *testing.T, path, kind string) (files []string) {
	t.Helper()
	name := filepath.Join(wireDir, strings.ReplaceAll(path, "/", ".")+"."+kind)
	files, err := filepath.Glob(name + "*.json")
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// tree is the JSON with its numbers as they are written, without the errcode at its top.
func tree(t *testing.T, raw []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	if o, ok := v.(map[string]any); ok {
		delete(o, "errcode")
	}
	return v
}

// same says whether got, the encoding of what raw was decoded into, is raw again.
func same(t *testing.T, file string, raw []byte, got any) {
	t.Helper()
	again, err := encode(got)
	if err != nil {
		t.Errorf("%s: %v", file, err)
		return
	}
	if !reflect.DeepEqual(tree(t, raw), tree(t, again)) {
		t.Errorf("%s is not the same again:\n%s", file, again)
	}
}

// The example files of every call decode into its types and encode again without a field lost or invented, the requests
// are within the limits, and between them they show every field that the types have.
func TestWire(t *testing.T) {
	var used []string
	for _, e := range endpoints() {
		requests, replies := wire(t, e.Path, "request"), wire(t, e.Path, "reply")
		used = append(append(used, requests...), replies...)
		if (len(requests) > 0) != (e.Request != nil) || (len(replies) > 0) != (e.Reply != nil) {
			t.Errorf("%s: %d requests, %d replies", e.Path, len(requests), len(replies))
			continue
		}
		for _, file := range requests {
			raw, req := read(t, file), e.Request()
			if err := json.Unmarshal(raw, req); err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			if err := req.Validate(); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			if _, err := e.check(raw); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			same(t, file, raw, req)
		}
		for _, file := range replies {
			raw, reply := read(t, file), e.Reply()
			if err := json.Unmarshal(raw, reply); err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			same(t, file, raw, reply)
		}
		if e.Request != nil {
			shown(t, e.Path+" request", e.Request(), requests)
		}
		if e.Reply != nil {
			shown(t, e.Path+" reply", e.Reply(), replies)
		}
	}
	items, _ := filepath.Glob(filepath.Join(wireDir, "item.*.json"))
	used = append(used, items...)
	all, _ := filepath.Glob(filepath.Join(wireDir, "*"))
	for _, file := range all {
		if !slices.Contains(used, file) {
			t.Errorf("%s belongs to no call", file)
		}
	}
}

// shown reports the fields of a type that none of the files has.
func shown(t *testing.T, name string, v any, files []string) {
	t.Helper()
	has := map[string]bool{}
	for _, file := range files {
		keys("", tree(t, read(t, file)), has)
	}
	want := map[string]bool{}
	tags("", reflect.TypeOf(v), want)
	for key := range want {
		if !has[key] && key != ".errmsg" && !oneWay(name, key) {
			t.Errorf("%s: no example has %s", name, key)
		}
	}
}

// oneWay: attachments are uploaded by id and listed by name.
func oneWay(name, key string) bool {
	if strings.HasSuffix(name, "reply") {
		return strings.Contains(key, ".attachments.") && strings.HasSuffix(key, "media_id")
	}
	return strings.HasSuffix(key, ".attachments.image.name") || strings.HasSuffix(key, ".attachments.video.name")
}

func keys(path string, v any, to map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			to[path+"."+name] = true
			keys(path+"."+name, value, to)
		}
	case []any:
		for _, value := range v {
			keys(path, value, to)
		}
	}
}

func tags(path string, typ reflect.Type, to map[string]bool) {
	switch typ.Kind() {
	case reflect.Pointer, reflect.Slice:
		tags(path, typ.Elem(), to)
	case reflect.Struct:
		for f := range typ.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			switch {
			case f.Anonymous:
				tags(path, f.Type, to)
			case name != "" && name != "-":
				to[path+"."+name] = true
				tags(path+"."+name, f.Type, to)
			}
		}
	}
}

// Every msgtype and event_type that is documented has its type, which loses and invents nothing.
func TestWireItems(t *testing.T) {
	for _, c := range []struct{ kind, names string }{
		{"item", "text image voice video file location link business_card miniprogram msgmenu channels_shop_product channels_shop_order merged_msg channels note meeting schedule"},
		{"item.event", "enter_session msg_send_fail servicer_status_change session_status_change user_recall_msg servicer_recall_msg reject_customer_msg_switch_change"},
	} {
		for _, name := range strings.Fields(c.names) {
			file := filepath.Join(wireDir, fmt.Sprintf("%s.%s.json", c.kind, name))
			raw := bytes.TrimSpace(read(t, file))
			it := ParseItem(raw)
			v, err := it.Typed()
			if err != nil || it.Err != nil {
				t.Errorf("%s: %v, %v", file, err, it.Err)
				continue
			}
			body, _ := encode(v)
			again := tree(t, body).(map[string]any)
			want := tree(t, raw).(map[string]any)[it.MsgType].(map[string]any)
			if it.EventType != "" {
				again["event_type"] = it.EventType // Item holds it
			}
			if !reflect.DeepEqual(want, again) {
				t.Errorf("%s: got %s", file, body)
			}
			shownItem(t, file, v, want)
		}
	}
}

func shownItem(t *testing.T, file string, v any, body any) {
	t.Helper()
	has, want := map[string]bool{}, map[string]bool{}
	keys("", body, has)
	tags("", reflect.TypeOf(v), want)
	for key := range want {
		if !has[key] {
			t.Errorf("%s lacks %s", file, key)
		}
	}
}

// Every message that can be sent has an example with all fields of its type.
func TestWireMessages(t *testing.T) {
	for _, m := range []Message{
		Text{}, Image{}, Voice{}, Video{}, File{}, Link{}, Miniprogram{}, MsgMenu{}, Location{}, BusinessCard{}, CALink{},
	} {
		file := filepath.Join(wireDir, "kf.send_msg.request."+m.MsgType()+".json")
		if m.MsgType() == "text" {
			file = filepath.Join(wireDir, "kf.send_msg.request.json")
		}
		request := tree(t, read(t, file)).(map[string]any)
		if request["msgtype"] != m.MsgType() || request["touser"] == nil || request["open_kfid"] == nil || request["msgid"] == nil {
			t.Errorf("%s: got %v", file, request)
		}
		shownItem(t, file, m, request[m.MsgType()])
	}
}

// The table has every call of the platform's reference, once, made as it says.
func TestEndpointsAreTheReference(t *testing.T) {
	want := map[string]string{}
	for _, row := range []string{
		"GET gettoken getcallbackip get_api_domain_ip token",
		"POST stable_token",
		"POST kf/sync_msg kf/send_msg kf/send_msg_on_event kf/recall_msg kf/service_state/get kf/service_state/trans",
		"POST kf/account/add kf/account/del kf/account/update kf/account/list kf/add_contact_way kf/servicer/add kf/servicer/del",
		"GET kf/servicer/list",
		"POST kf/customer/batchget",
		"GET kf/customer/get_upgrade_service_config",
		"POST kf/customer/upgrade_service kf/customer/cancel_upgrade_service",
		"GET kf/get_corp_qualification",
		"POST kf/get_corp_statistic kf/get_servicer_statistic",
		"POST kf/knowledge/add_group kf/knowledge/del_group kf/knowledge/mod_group kf/knowledge/list_group",
		"POST kf/knowledge/add_intent kf/knowledge/del_intent kf/knowledge/mod_intent kf/knowledge/list_intent",
		"POST media/upload media/uploadimg media/upload_by_url media/get_upload_by_url_result",
		"GET media/get media/get/jssdk",
		"POST idconvert/open_kfid",
	} {
		method, paths, _ := strings.Cut(row, " ")
		for _, path := range strings.Fields(paths) {
			want[path] = method
		}
	}
	styles := map[string]Style{
		"gettoken": StyleCredential, "token": StyleCredential, "stable_token": StyleCredential,
		"media/upload": StyleUpload, "media/uploadimg": StyleUpload, "media/get": StyleDownload, "media/get/jssdk": StyleDownload,
	}
	for _, e := range Endpoints() {
		if want[e.Path] != e.Method {
			t.Errorf("%s %s: want %q", e.Method, e.Path, want[e.Path])
		}
		delete(want, e.Path)
		official := e.Path == "token" || e.Path == "stable_token"
		if e.Reply != nil {
			if _, ok := e.Reply().(keeper); !ok {
				t.Errorf("%s: the reply does not keep the answer", e.Path)
			}
		}
		if e.Summary == "" || (e.Page == 0) != official || e.Official != official || e.Style != styles[e.Path] {
			t.Errorf("%s: got %+v", e.Path, e)
		}
		if found, ok := LookupEndpoint(e.Path); !ok || found.Path != e.Path {
			t.Errorf("%s is not found", e.Path)
		}
	}
	if len(want) > 0 {
		t.Errorf("missing or twice: %v", want)
	}
	if n := len(Endpoints()); n != 41 {
		t.Errorf("got %d calls, want 41", n)
	}
	if _, ok := LookupEndpoint("kf/nothing"); ok {
		t.Error("found what is not there")
	}
}
