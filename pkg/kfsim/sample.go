package kfsim

import (
	"encoding/json"
	"fmt"
)

// sampleBodies are message bodies of every type that sync_msg is known to serve, well formed, for those
// who want a message and do not care which. Types without a body have nil. Media are another matter.
//
// https://developer.work.weixin.qq.com/document/path/94670
func sampleBodies() map[string]json.RawMessage {
	return map[string]json.RawMessage{
		"text":                  []byte(`{"content":"你好"}`),
		"location":              []byte(`{"latitude":39.9042,"longitude":116.4074,"name":"North gate","address":"1 Example Road"}`),
		"link":                  []byte(`{"title":"Guide","desc":"How to return","url":"https://e.example/a?b=1&c=2","pic_url":"https://e.example/p.png"}`),
		"business_card":         []byte(`{"userid":"lisi"}`),
		"miniprogram":           []byte(`{"title":"Order","appid":"wx0000000000000001","pagepath":"pages/order.html?id=7","thumb_media_id":"none"}`),
		"msgmenu":               []byte(`{"head_content":"How did we do?","list":[{"type":"click","click":{"id":"101","content":"Good"}},{"type":"text","text":{"content":"plain","no_newline":0}}],"tail_content":"Thanks"}`),
		"channels_shop_product": []byte(`{"product_id":"p1","head_image":"https://e.example/h.png","title":"Tea","sales_price":"1990","shop_nickname":"Shop TV","shop_head_image":"https://e.example/s.png"}`),
		"channels_shop_order":   []byte(`{"order_id":"o1","product_titles":"Tea","price_wording":"¥19.90","state":"已付款","image_url":"https://e.example/o.png","shop_nickname":"Shop TV"}`),
		"merged_msg":            []byte(`{"title":"Chat history","item":[{"send_time":1699999000,"msgtype":"text","sender_name":"Ann","msg_content":"{\"msgtype\":\"text\",\"text\":{\"content\":\"hi\"}}"},{"send_time":1699999001,"msgtype":"merged_msg","sender_name":"Bob","msg_content":"{\"msgtype\":\"merged_msg\",\"merged_msg\":{\"title\":\"Inner\",\"item\":[]}}"}]}`),
		"channels":              []byte(`{"sub_type":1,"nickname":"Shop TV","title":"New arrivals"}`),
		"note":                  nil,
		"meeting":               nil,
		"schedule":              nil,
	}
}

// sampleFiles are the smallest files that pass for their type.
func sampleFiles() map[string]Media {
	return map[string]Media{
		"image": {Type: "image", FileName: "sample.png", Data: []byte("\x89PNG\r\n\x1a\n")},
		"voice": {Type: "voice", FileName: "sample.amr", Data: []byte("#!AMR\n\x44sample")},
		"video": {Type: "video", FileName: "sample.mp4", Data: []byte("\x00\x00\x00\x18ftypmp42")},
		"file":  {Type: "file", FileName: "sample.txt", Data: []byte("sample")},
	}
}

// sampled fills in the body of a message that asked for a sample; a file is kept for media/get.
func (s *Sim) sampled(c *corp, m Say) (Say, error) {
	if !m.Sample {
		return m, nil
	}
	if f, isFile := sampleFiles()[m.MsgType]; isFile {
		m.Body = object(str("media_id", s.keepMedia(c, f.Type, f.FileName, f.Data).id))
		return m, nil
	}
	body, there := sampleBodies()[m.MsgType]
	if !there {
		return m, fmt.Errorf("say: there is no sample of msgtype %q; give a body", clip(m.MsgType, 64))
	}
	m.Body = body
	return m, nil
}
