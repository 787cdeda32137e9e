package kfsim

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func (r *rig) group(name string) string {
	r.t.Helper()
	got := r.post("kf/knowledge/add_group", obj{"name": name})
	r.wantCode("group "+name, got, 0)
	return got.str("group_id")
}

func textOf(s string) obj { return obj{"text": obj{"content": s}} }

func similar(n int, s string) obj {
	items := []obj{}
	for i := range n {
		items = append(items, textOf(fmt.Sprint(s, i)))
	}
	return obj{"items": items}
}

func TestKnowledgeGroups(t *testing.T) {
	r := newRig(t, Config{})
	id := r.group(strings.Repeat("退", 12))
	list := func(m obj) answered { return r.post("kf/knowledge/list_group", m) }
	all := list(obj{})
	rows := all.rows("group_list")
	if len(rows) != 2 || rows[0]["is_default"] != 1.0 || rows[1]["is_default"] != 0.0 || rows[1].str("group_id") != id || all["has_more"] != 0.0 {
		t.Fatalf("list: got %v, want the default group and the new one", all)
	}
	first := rows[0].str("group_id")
	r.refusals([]refusal{
		{"no name", "kf/knowledge/add_group", obj{}, 40058},
		{"13 characters", "kf/knowledge/add_group", obj{"name": strings.Repeat("退", 13)}, 40058},
		{"the same name", "kf/knowledge/add_group", obj{"name": strings.Repeat("退", 12)}, 40058},
		{"another name", "kf/knowledge/mod_group", obj{"group_id": id, "name": "b"}, 0},
		{"its own name", "kf/knowledge/mod_group", obj{"group_id": id, "name": "b"}, 0},
		{"the default's name", "kf/knowledge/mod_group", obj{"group_id": id, "name": rows[0].str("name")}, 40058},
		{"13 characters", "kf/knowledge/mod_group", obj{"group_id": id, "name": strings.Repeat("x", 13)}, 40058},
		{"unknown", "kf/knowledge/mod_group", obj{"group_id": "g", "name": "c"}, 40058},
		{"default", "kf/knowledge/mod_group", obj{"group_id": first, "name": "c"}, 40058},
		{"default", "kf/knowledge/del_group", obj{"group_id": first}, 40058},
		{"unknown", "kf/knowledge/del_group", obj{"group_id": "g"}, 40058},
		{"missing", "kf/knowledge/del_group", obj{}, 40058},
		{"unknown group", "kf/knowledge/list_group", obj{"group_id": "g"}, 40058},
		{"limit 0", "kf/knowledge/list_group", obj{"limit": 0}, 40058},
		{"limit 1001", "kf/knowledge/list_group", obj{"limit": 1001}, 40058},
		{"made-up cursor", "kf/knowledge/list_group", obj{"cursor": "c"}, 40058},
	})
	if rows := list(obj{"group_id": id}).rows("group_list"); len(rows) != 1 || rows[0].str("name") != "b" {
		t.Errorf("list of one: got %v", rows)
	}
	for i := range 98 {
		r.group(fmt.Sprint("g", i))
	}
	r.wantCode("the 101st group", r.post("kf/knowledge/add_group", obj{"name": "one more"}), 40058)
	var names []string
	cursor, pages := "", 0
	for {
		got := list(obj{"cursor": cursor, "limit": 30})
		for _, w := range got.rows("group_list") {
			names = append(names, w.str("name"))
		}
		cursor = got.str("next_cursor")
		if pages++; pages == 1 { // what goes meanwhile makes nothing skip
			r.wantCode("delete", r.post("kf/knowledge/del_group", obj{"group_id": got.rows("group_list")[29].str("group_id")}), 0)
		}
		if got["has_more"] != 1.0 {
			break
		}
	}
	if len(names) != 100 || pages != 4 || names[99] != "g97" {
		t.Errorf("got %d groups in %d pages, the last %s, want 100 in 4", len(names), pages, names[len(names)-1])
	}
	if got := list(obj{"cursor": cursor}); len(got.rows("group_list")) != 0 || got["has_more"] != 0.0 || got.str("next_cursor") != cursor {
		t.Errorf("behind the end: got %v", got)
	}
	r.must(r.SetPersonality(Personality{DefaultGroupRenamable: true, KnowledgeCode: 7}))
	r.refusals([]refusal{
		{"default, by a switch", "kf/knowledge/mod_group", obj{"group_id": first, "name": "c"}, 0},
		{"unknown, by a switch", "kf/knowledge/mod_group", obj{"group_id": "g", "name": "c"}, 7},
		{"same name, by a switch", "kf/knowledge/add_group", obj{"name": "b"}, 7},
	})
}

func TestKnowledgeIntents(t *testing.T) {
	r := newRig(t, Config{})
	g, img := r.group("returns"), r.image()
	vid := r.upload("video", "media", "v.mp4", []byte("\x00\x00\x00\x18ftypmp42")).str("media_id")
	attach := func(kind string, body obj) obj { return obj{"msgtype": kind, kind: body} }
	answer := func(s string, more ...obj) obj {
		a := textOf(s)
		if len(more) > 0 {
			a["attachments"] = more
		}
		return a
	}
	intent := func(change obj) obj {
		m := obj{"group_id": g, "question": textOf("q"), "similar_questions": similar(2, "like"), "answers": []obj{answer("a")}}
		for k, v := range change {
			m[k] = v
		}
		return m
	}
	four := []obj{
		attach("image", obj{"media_id": img}), attach("video", obj{"media_id": vid}),
		attach("link", obj{"title": "T", "picurl": "https://e.example/p", "desc": "D", "url": "https://e.example?a=1&b=2"}),
		attach("miniprogram", obj{"title": "M", "thumb_media_id": img, "appid": "wx1", "pagepath": "p.html"}),
	}
	add := r.post("kf/knowledge/add_intent", intent(obj{"answers": []obj{answer("a", four...)}}))
	id := add.str("intent_id")
	r.wantCode("add", add, 0)
	one := func() answered {
		rows := r.post("kf/knowledge/list_intent", obj{"intent_id": id}).rows("intent_list")
		if len(rows) != 1 {
			t.Fatalf("got %d intents, want 1", len(rows))
		}
		return rows[0]
	}
	want := `map[answers:[map[attachments:[map[image:map[name:a.png] msgtype:image] map[msgtype:video video:map[name:v.mp4]] ` +
		`map[link:map[desc:D pic_url:https://e.example/p title:T url:https://e.example?a=1&b=2] msgtype:link] ` +
		`map[miniprogram:map[appid:wx1 pagepath:p.html title:M] msgtype:miniprogram]] text:map[content:a]]] group_id:` + g + ` intent_id:` + id +
		` question:map[text:map[content:q]] similar_questions:map[items:[map[text:map[content:like0]] map[text:map[content:like1]]]]]`
	if got := fmt.Sprint(map[string]any(one())); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	const addPath, modPath = "kf/knowledge/add_intent", "kf/knowledge/mod_intent"
	long := strings.Repeat("问", 201)
	bad := func(kind string, body obj) obj {
		return intent(obj{"question": textOf("new"), "answers": []obj{answer("a", attach(kind, body))}})
	}
	r.refusals([]refusal{
		{"no group", addPath, intent(obj{"group_id": ""}), 40058},
		{"unknown group", addPath, intent(obj{"group_id": "g"}), 40058},
		{"no question", addPath, intent(obj{"question": nil}), 40058},
		{"empty question", addPath, intent(obj{"question": textOf("")}), 40058},
		{"question of 200 characters", addPath, intent(obj{"question": textOf(strings.Repeat("问", 200))}), 0},
		{"question of 201 characters", addPath, intent(obj{"question": textOf(long)}), 40058},
		{"repeated question", addPath, intent(nil), 40058},
		{"100 similar", addPath, intent(obj{"question": textOf("q100"), "similar_questions": similar(100, "s")}), 0},
		{"101 similar", addPath, intent(obj{"question": textOf("new"), "similar_questions": similar(101, "s")}), 40058},
		{"a long similar one", addPath, intent(obj{"question": textOf("new"), "similar_questions": obj{"items": []obj{textOf(long)}}}), 40058},
		{"no answers", addPath, intent(obj{"question": textOf("new"), "answers": nil}), 40058},
		{"empty answers", addPath, intent(obj{"question": textOf("new"), "answers": []obj{}}), 40058},
		{"two answers", addPath, intent(obj{"question": textOf("new"), "answers": []obj{answer("a"), answer("b")}}), 40058},
		{"answer of 500 characters", addPath, intent(obj{"question": textOf("q500"), "answers": []obj{answer(strings.Repeat("答", 500))}}), 0},
		{"answer of 501 characters", addPath, intent(obj{"question": textOf("new"), "answers": []obj{answer(strings.Repeat("答", 501))}}), 40058},
		{"five attachments", addPath, intent(obj{"question": textOf("new"), "answers": []obj{answer("a", append(four, four[0])...)}}), 40058},
		{"unknown image", addPath, bad("image", obj{"media_id": "none"}), 40007},
		{"an image as video", addPath, bad("video", obj{"media_id": img}), 40007},
		{"a link without scheme", addPath, bad("link", obj{"title": "T", "url": "e.example"}), 45034},
		{"a link without title", addPath, bad("link", obj{"url": "https://e.example"}), 40058},
		{"a mini program without appid", addPath, bad("miniprogram", obj{"thumb_media_id": img, "pagepath": "p"}), 90200},
		{"a mini program with an odd appid", addPath, bad("miniprogram", obj{"thumb_media_id": img, "pagepath": "p", "appid": "ww1"}), 90207},
		{"a mini program without path", addPath, bad("miniprogram", obj{"thumb_media_id": img, "appid": "wx1"}), 40058},
		{"a mini program without picture", addPath, bad("miniprogram", obj{"pagepath": "p", "appid": "wx1"}), 40007},
		{"a file", addPath, bad("file", obj{"media_id": img}), 40008},
		{"unknown", modPath, obj{"intent_id": "i"}, 40058},
		{"another's question", modPath, obj{"intent_id": id, "question": textOf("q100")}, 40058},
		{"good question, bad answer", modPath, obj{"intent_id": id, "question": textOf("half"), "answers": []obj{}}, 40058},
		{"its own question", modPath, obj{"intent_id": id, "question": textOf("q")}, 0},
		{"answers only", modPath, obj{"intent_id": id, "answers": []obj{answer("b")}}, 0},
		{"unknown", "kf/knowledge/del_intent", obj{"intent_id": "i"}, 40058},
		{"missing", "kf/knowledge/del_intent", obj{}, 40058},
		{"unknown group", "kf/knowledge/list_intent", obj{"group_id": "g"}, 40058},
		{"unknown", "kf/knowledge/list_intent", obj{"intent_id": "i"}, 40058},
		{"limit 1001", "kf/knowledge/list_intent", obj{"limit": 1001}, 40058},
		{"a group's cursor", "kf/knowledge/list_intent", obj{"cursor": r.post("kf/knowledge/list_group", obj{}).str("next_cursor")}, 40058},
		{"a group with questions", "kf/knowledge/del_group", obj{"group_id": g}, 40058},
	})
	if got := fmt.Sprint(map[string]any(one())); !strings.Contains(got, "answers:[map[text:map[content:b]]]") || !strings.Contains(got, "content:q]") || !strings.Contains(got, "like1") {
		t.Errorf("after answers were replaced: got %s, want the rest as before", got)
	}
	r.wantCode("question", r.post(modPath, obj{"intent_id": id, "question": textOf("q2"), "similar_questions": similar(1, "x")}), 0)
	if got := fmt.Sprint(map[string]any(one())); !strings.Contains(got, "content:q2]") || strings.Contains(got, "like") {
		t.Errorf("after question and similar ones were replaced: got %s", got)
	}
	r.wantCode("delete", r.post("kf/knowledge/del_intent", obj{"intent_id": id}), 0)
	if rows := r.post("kf/knowledge/list_intent", obj{"group_id": g}).rows("intent_list"); len(rows) != 3 {
		t.Errorf("got %d intents in the group, want 3", len(rows))
	}
	for i := range 197 {
		r.wantCode("fill", r.post(addPath, intent(obj{"question": textOf(fmt.Sprint("f", i))})), 0)
	}
	r.wantCode("the 201st of the group", r.post(addPath, intent(obj{"question": textOf("more")})), 40058)
	seen := map[string]bool{}
	for cursor, more := "", true; more; {
		got := r.post("kf/knowledge/list_intent", obj{"cursor": cursor, "limit": 70})
		for _, w := range got.rows("intent_list") {
			seen[w.str("intent_id")] = true
		}
		cursor, more = got.str("next_cursor"), got["has_more"] == 1.0
	}
	if len(seen) != 200 {
		t.Errorf("paging found %d intents, want 200", len(seen))
	}
	r.must(r.SetPersonality(Personality{FullGroupsDeletable: true}))
	r.wantCode("a full group, by a switch", r.post("kf/knowledge/del_group", obj{"group_id": g}), 0)
	if rows := r.post("kf/knowledge/list_intent", obj{}).rows("intent_list"); len(rows) != 0 {
		t.Errorf("the group is gone: got %d intents", len(rows))
	}
	g = r.group("again")
	r.jump(72 * time.Hour)
	r.wantCode("a picture of 3 days ago", r.post(addPath, obj{"group_id": g, "question": textOf("z"), "answers": []obj{answer("a", attach("image", obj{"media_id": img}))}}), 40007)
}
