// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"path"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/words"
)

// EachSample renders every page with sample data, in every language and brand of
// templates, and names each like a file: "<language>/pages/<page>.html", below
// "brands/<brand>/" for those of a brand.
func EachSample(server string, set *words.Set, do func(name string, html []byte) error) error {
	p, err := New(Options{Server: server, Words: FromTemplates(set), Looks: LooksOf(set)})
	if err != nil {
		return err
	}
	for _, brand := range set.Brands() {
		folder := ""
		if brand != "" {
			folder = "brands/" + brand
		}
		for _, language := range set.Languages() {
			for name, v := range samples(brand) {
				html, err := p.HTML(v, language.Tag)
				if err == nil {
					err = do(path.Join(folder, language.Tag, "pages", name+".html"), html)
				}
				if err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// samples are the pages of a brand by name. Those that speak of what is asked for do so
// for each of the purposes; those that go with a text message are apart.
func samples(brand string) map[string]View {
	all := map[string]View{}
	for _, state := range States {
		mail := sample(state, brand)
		mail.Address, mail.Asked = "reader@mail.example", Asked{Made: "2026-01-31\u00a009:30\u00a0UTC", App: "Element (Android)", Network: "203.0.x.x"}
		all[string(state)] = mail
		for _, purpose := range Purposes(state) {
			mail.Purpose = purpose
			all[string(state)+"-"+purpose] = mail
			delete(all, string(state))
		}
		phone := sample(state, brand)
		phone.Phone, phone.Address = true, "+447400123456"
		all[string(state)+"-sms"] = phone
	}
	return all
}

func sample(state State, brand string) View {
	return View{State: state, Brand: brand, Purpose: "add", Action: "#", Help: "#", Delivery: "sent", Wait: 5 * time.Minute}
}
