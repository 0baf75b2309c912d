// SPDX-License-Identifier: Apache-2.0

package words

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"golang.org/x/net/html"
)

// markupPage is what a reader sees of HTML.
type markupPage struct {
	lang, dir string
	links     []string
	text      string
}

// inert are the elements that a mail may have: they do nothing, load nothing
// and send nothing.
var inert = makeInert()

func makeInert() map[string]bool {
	elements := map[string]bool{}
	for name := range strings.FieldsSeq(`html head meta title style body header main footer section article div p span bdi bdo br hr
		h1 h2 h3 h4 h5 h6 a b strong i em small u s sub sup code pre kbd blockquote q abbr address center font
		table caption thead tbody tfoot tr td th colgroup col ul ol li dl dt dd img`) {
		elements[name] = true
	}
	return elements
}

// loading are attributes that make a program fetch something.
var loading = map[string]bool{
	"src": true, "srcset": true, "background": true, "poster": true, "data": true, "action": true,
	"formaction": true, "srcdoc": true, "manifest": true, "ping": true, "lowsrc": true, "dynsrc": true, "longdesc": true, "cite": true,
}

// inspect reads HTML as a mail program would, and refuses what could do
// anything but be read: whoever serves a picture learns when a mail is read,
// and a script, or a form, can ask for a password in the operator's name.
func inspect(markup string) (*markupPage, error) {
	z := html.NewTokenizer(strings.NewReader(markup))
	page := &markupPage{}
	var text strings.Builder
	inStyle := false
	for {
		switch z.Next() {
		case html.ErrorToken:
			if !errors.Is(z.Err(), io.EOF) {
				return nil, fmt.Errorf("the HTML cannot be read: %w", z.Err())
			}
			page.text = text.String()
			return page, nil
		case html.TextToken:
			if !inStyle {
				text.Write(z.Text())
				continue
			}
			if err := checkStyle(string(z.Raw())); err != nil {
				return nil, err
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			token := z.Token()
			inStyle = token.Data == "style"
			if err := page.element(token); err != nil {
				return nil, err
			}
		case html.EndTagToken:
			inStyle = false
		case html.CommentToken:
			// Old mail programs run what is in a conditional comment.
			if strings.Contains(string(z.Raw()), "[if") {
				return nil, errors.New("the HTML has a conditional comment")
			}
		case html.DoctypeToken:
		}
	}
}

// element checks one element and its attributes.
func (p *markupPage) element(token html.Token) error {
	if !inert[token.Data] {
		return fmt.Errorf("the HTML has the element <%s>, which has no place in a mail", token.Data)
	}
	for _, a := range token.Attr {
		value := strings.TrimSpace(a.Val)
		switch {
		case strings.HasPrefix(a.Key, "on"):
			return fmt.Errorf("the HTML has the attribute %s, which is a script", a.Key)
		case token.Data == "img" && a.Key == "src" && strings.HasPrefix(value, "data:image/"):
		case loading[a.Key]:
			return fmt.Errorf("the HTML has the attribute %s, which loads something", a.Key)
		case a.Key == "http-equiv":
			return errors.New("the HTML has the attribute http-equiv, which can lead elsewhere")
		case a.Key == "style":
			if err := checkStyle(value); err != nil {
				return err
			}
		case a.Key == "href":
			if err := p.link(token.Data, a.Val); err != nil {
				return err
			}
		case token.Data == "html" && a.Key == "lang":
			p.lang = value
		case token.Data == "html" && a.Key == "dir":
			p.dir = value
		}
	}
	return nil
}

// scheme is what a link begins with, if it is no relative one.
var scheme = regexp.MustCompile(`^[a-z][a-z0-9+.-]*:`)

// link refuses a link that does more than to open a page or a mailbox. What
// html/template has made harmless is a relative one.
func (p *markupPage) link(element, target string) error {
	// Browsers skip controls and spaces.
	bare := strings.ToLower(strings.Map(func(r rune) rune {
		if r <= ' ' || forbidden(r) {
			return -1
		}
		return r
	}, target))
	switch scheme.FindString(bare) {
	case "http:", "https:", "mailto:", "":
	default:
		return fmt.Errorf("the HTML has a link that a mail cannot have: %.40q", target)
	}
	if element != "a" {
		return fmt.Errorf("the HTML has a link in <%s>", element)
	}
	p.links = append(p.links, target)
	return nil
}

// relative returns a link that leads nowhere from a mail.
func (p *markupPage) relative() (string, bool) {
	for _, link := range p.links {
		if !scheme.MatchString(strings.ToLower(link)) {
			return link, true
		}
	}
	return "", false
}

// checkStyle refuses CSS that loads something, or that is written so that one
// cannot see whether it does.
func checkStyle(css string) error {
	lower := strings.ToLower(css)
	for _, sign := range []string{"url(", "image(", "image-set(", "@import", "@font-face", "expression(", "behavior:", "-moz-binding", `\`, "/*", "<"} {
		if strings.Contains(lower, sign) {
			return fmt.Errorf("the HTML has a style with %q, which can load something or hide that it does", sign)
		}
	}
	return nil
}
