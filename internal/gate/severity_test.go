package gate

import (
	"regexp"
	"testing"
)

func TestSeverityOf(t *testing.T) {
	for severity, lines := range map[Severity][]string{
		SeverityError: {
			"[Tue Nov 24 00:04:05.123456 2026] [perl:error] [pid 12] [client 10.0.0.7:4711] Can't locate Shop/Cart.pm in @INC (you may need",
			"[Tue Nov 24 00:04:05.123456 2026] [:error] [pid 12] Undefined subroutine &Shop::cart called at /srv/shop/current/lib/Shop.pm line 9.",
			"[Tue Nov 24 00:04:05 2026] [core:notice] [pid 9:tid 1] AH00052: child pid 77 exit signal Segmentation fault (11)",
			"Can't call method \"name\" on an undefined value at lib/Shop.pm line 4.",
			"BEGIN failed--compilation aborted at lib/Shop.pm line 3.",
			"2026/11/24 00:04:05 [crit] 99#99: *3 connect() to unix:/run/php.sock failed (2: No such file or directory)",
			"[24-Nov-2026 00:04:05 UTC] PHP Fatal error:  Uncaught TypeError: f(): Argument #1 in /srv/shop/index.php:3",
			"[24-Nov-2026 00:04:05] ERROR: unable to bind listening socket for address '/run/php.sock'",
			"Traceback (most recent call last):",
			"KeyError: 'shop'",
			"django.db.utils.OperationalError: no such table: shop",
			"2026-11-24 00:04:05,123 ERROR app.views could not render",
			"[2026-11-24 00:04:05 +0000] [12] [ERROR] Exception in worker process",
			"app.rb:3:in `block in <main>': undefined method `cart' for nil:NilClass (NoMethodError)",
			"E, [2026-11-24T00:04:05.1 #7] ERROR -- : no cart",
			"#<ActiveRecord::ConnectionNotEstablished: ...> ActionView::Template::Error (no cart)",
			"Error: Cannot find module './cart'",
			"/srv/shop/current/app.js:3 TypeError: Cannot read properties of undefined (reading 'cart')",
			`{"level":50,"time":1,"msg":"no cart"}`,
			`level=error msg="no cart"`,
			`{"severity": "ERROR", "message": "no cart"}`,
			"panic: runtime error: invalid memory address or nil pointer dereference",
			"2026/11/24 00:04:05 http: panic serving 127.0.0.1:4711: no cart",
			"thread 'main' panicked at src/main.rs:3:5:",
			"Exception in thread \"main\" java.lang.NullPointerException",
			"2026-11-24 00:04:05 [error] no cart",
		},
		SeverityWarning: {
			"[Tue Nov 24 00:04:05.1 2026] [ssl:warn] [pid 12] AH01906: server certificate is a CA certificate",
			"[24-Nov-2026 00:04:05 UTC] PHP Warning:  Undefined variable $cart in /srv/shop/index.php on line 3",
			"/usr/lib/python3/dist-packages/x.py:3: DeprecationWarning: gone soon",
			"2026-11-24 00:04:05,123 WARNING app no cart",
			`level=warning msg="no cart"`,
			"(node:12) Warning: gone soon",
		},
		"": {
			"",
			"[Tue Nov 24 00:04:05.1 2026] [mpm_prefork:notice] [pid 12] AH00163: Apache/2.4 configured -- resuming normal operations",
			"2026/11/24 00:04:05 [notice] 99#99: signal process started",
			"127.0.0.1 - - [24/Nov/2026:00:04:05 +0000] \"GET /errors HTTP/1.1\" 200 12",
			"no cart at /srv/shop/current/lib/Shop.pm line 9.",
			"listening on 8080, 0 errors", "    at Object.<anonymous> (/srv/shop/app.js:3:7)", "error_log is /var/log/x",
			`level=info msg="no error"`, `{"level":30,"msg":"fine"}`, "  File \"/srv/shop/app.py\", line 3, in cart",
		},
	} {
		for _, line := range lines {
			if got := SeverityOf(line); got != severity {
				t.Errorf("%q is %q, want %q", line, got, severity)
			}
		}
	}
}

func TestIsError(t *testing.T) {
	rules := LogRules{Fail: []*regexp.Regexp{regexp.MustCompile(`^cart: `)}, Ignore: []*regexp.Regexp{regexp.MustCompile(`robots\.txt`)}}
	trace := traceback{}
	for _, c := range []struct {
		line string
		want bool
	}{
		{"a cart: empty", false},
		{"cart: empty", true},
		{"[error] no cart", true},
		{"[error] no robots.txt", false},
		{"[wsgi:error] [pid 12] Traceback (most recent call last):", true},
		{"[wsgi:error] [pid 12]   File \"app.py\", line 3, in <module>", true}, // by the server's word
		{"10:04 Traceback (most recent call last):", true},
		{"10:04   File \"app.py\", line 3, in <module>", false},
		{"10:04     shop()", false},
		{"10:04 shop.NoCart: none", true},
		{"10:04 next", false},
		{"Traceback (most recent call last):", true},
		{"  File \"app.py\", line 3, in <module>", false},
		{"shop.NoCart", true},
		{"shop.NoCart", false},
	} {
		if got := rules.isError(c.line, &trace); got != c.want {
			t.Errorf("%q: %t", c.line, got)
		}
	}
}

func TestKindOf(t *testing.T) {
	for _, same := range [][]string{
		{
			"[Tue Nov 24 00:04:05.123456 2026] [perl:error] [pid 12:tid 9] [client 10.0.0.7:4711] no cart at /srv/releases/20261124T000405Z-v1.4/lib/Shop.pm line 9.",
			"[Wed Dec  2 10:14:05.000001 2026] [perl:error] [pid 777:tid 10] [client ::1:80] no cart at /srv/releases/20261202T101405Z-autumn/lib/Shop.pm line 31., referer: http://x/",
		},
		{
			`2026/11/24 00:04:05 [error] 99#99: *3 connect() failed (111: Connection refused), client: 127.0.0.1, server: _, request: "GET / HTTP/1.1"`,
			`2026/11/25 10:04:05 [error] 7#7: *812 connect() failed (111: Connection refused), client: 10.1.2.3, server: shop, request: "POST /x"`,
		},
		{"<Cart object at 0x7f3a99deadbeef>", "<Cart object at 0x7fffffffffff>", "<Cart object at 12>"},
		{"order 3f2a9c1e-aaaa-4bcd-9abc-abcdefabcdef gone", "order 00000000-0000-0000-0000-000000000000 gone"},
		{"\x1b[31mred\x1b[0m 3", "red 4"},
		{"2026-11-24T00:04:05.123Z shop", "2026-11-24T00:04:06Z shop"},
		{"deadbeefdeadbeef gone", "0123456789abcdef gone"},
	} {
		for _, line := range same[1:] {
			if a, b := kindOf(same[0]), kindOf(line); a != b {
				t.Errorf("%q and %q", a, b)
			}
		}
	}
	for _, c := range [][2]string{
		{"no cart", "no shop"},
		{"KeyError: 'a'", "KeyError: 'b'"},
		{"Can't locate A.pm", "Can't locate B.pm"},
		{"/srv/current/lib/A.pm", "/srv/current/lib/B.pm"},
		{"", "x"},
	} {
		if kindOf(c[0]) == kindOf(c[1]) {
			t.Errorf("%q and %q are of one kind", c[0], c[1])
		}
	}
}

func FuzzKindOf(f *testing.F) {
	f.Add("[Tue Nov 24 00:04:05 2026] /releases/x \x1b[31m")
	f.Fuzz(func(t *testing.T, line string) {
		if kind := kindOf(line); len(kind) > kindBytes {
			t.Errorf("%q", kind)
		}
	})
}

func BenchmarkKindOf(b *testing.B) {
	line := "[Tue Nov 24 00:04:05.123456 2026] [perl:error] [pid 12:tid 9] [client 10.0.0.7:4711] no cart at /srv/shop/current/lib/Shop.pm line 9."
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		kindOf(line)
	}
}

func BenchmarkSeverityOf(b *testing.B) {
	for name, line := range map[string]string{
		"notice": "[Tue Nov 24 00:04:05.123456 2026] [mpm_prefork:notice] [pid 12] AH00163: Apache/2.4 configured -- resuming normal operations",
		"error":  "[Tue Nov 24 00:04:05.123456 2026] [perl:error] [pid 12] [client 10.0.0.7:4711] no cart at /srv/shop/current/lib/Shop.pm line 9.",
		"except": "django.db.utils.OperationalError: no such table: shop_cart_of_the_customer_that_is_logged_in_since_yesterday_at_noon",
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(line)))
			for b.Loop() {
				SeverityOf(line)
			}
		})
	}
}
