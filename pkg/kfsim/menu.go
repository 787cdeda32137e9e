package kfsim

import "encoding/json"

// menuItem is one row of a msgmenu, with the body of its type.
type menuItem struct {
	Type  string `json:"type"`
	Click *struct {
		ID      string `json:"id"`
		Content string `json:"content"`
	} `json:"click"`
	View *struct {
		URL     string `json:"url"`
		Content string `json:"content"`
	} `json:"view"`
	MiniProgram *struct {
		AppID    string `json:"appid"`
		PagePath string `json:"pagepath"`
		Content  string `json:"content"`
	} `json:"miniprogram"`
	Text *struct {
		Content   string `json:"content"`
		NoNewline int    `json:"no_newline"`
	} `json:"text"`
}

// checkMenu: https://developer.work.weixin.qq.com/document/path/94677
func checkMenu(body json.RawMessage) (out outgoing, a answer) {
	var m struct {
		Head string     `json:"head_content"`
		List []menuItem `json:"list"`
		Tail string     `json:"tail_content"`
	}
	if a = into(body, &m); a.code != 0 {
		return out, a
	}
	switch {
	case len(m.List) > 10:
		return out, refuse(95008, "msgmenu.list has more than 10 items")
	case len(m.Head) > 1024 || len(m.Tail) > 1024:
		return out, refuse(40058, "msgmenu.head_content or tail_content has more than 1024 bytes")
	case m.Head == "" && m.Tail == "" && len(m.List) == 0:
		return out, refuse(40058, "msgmenu is empty")
	}
	for _, it := range m.List {
		if a = it.check(); a.code != 0 {
			return out, a
		}
		if it.Type == "miniprogram" {
			out.appIDs = append(out.appIDs, it.MiniProgram.AppID)
		}
	}
	return out, a
}

func (it menuItem) check() answer {
	between := func(s string, low, high int) bool { return len(s) >= low && len(s) <= high }
	var fits bool
	switch it.Type {
	case "click":
		fits = it.Click != nil && between(it.Click.ID, 0, 128) && between(it.Click.Content, 1, 128)
	case "view":
		fits = it.View != nil && between(it.View.URL, 1, 2048) && between(it.View.Content, 1, 1024)
	case "miniprogram":
		fits = it.MiniProgram != nil && between(it.MiniProgram.AppID, 1, 32) && between(it.MiniProgram.PagePath, 1, 1024) && between(it.MiniProgram.Content, 1, 1024)
	case "text":
		fits = it.Text != nil && between(it.Text.Content, 1, 256) && (it.Text.NoNewline == 0 || it.Text.NoNewline == 1)
	default:
		return refuse(95009, "a msgmenu item has a type other than click, view, miniprogram and text")
	}
	if !fits {
		return refuse(40058, "a msgmenu item of type "+it.Type+" lacks a field or has one that is too long")
	}
	return answer{}
}

// clickItems reads the items of a menu that can be tapped to say something.
func clickItems(menu []byte) []menuItem {
	var m struct {
		List []menuItem `json:"list"`
	}
	_ = json.Unmarshal(menu, &m) // it was checked when it was sent
	var list []menuItem
	for _, it := range m.List {
		if it.Type == "click" && it.Click != nil {
			list = append(list, it)
		}
	}
	return list
}
