//go:build linux

package proc

import "testing"

func TestUnitOf(t *testing.T) {
	tests := []struct{ cgroup, want string }{
		{"0::/system.slice/apache2.service\n", "apache2.service"},
		{"0::/system.slice/system-app.slice/app@1.service/payload\n", "app@1.service"},
		{"12:pids:/system.slice/x.service\n1:name=systemd:/system.slice/nginx.service\n", "nginx.service"},
		{"0::/user.slice/user-1000.slice/user@1000.service/app.slice/web.service\n", ""},
		{"0::/\n", ""},
		{"", ""},
	}
	for _, test := range tests {
		if got := unitOf(test.cgroup); got != test.want {
			t.Errorf("%q: %q, want %q", test.cgroup, got, test.want)
		}
	}
}

func TestParseHexAddr(t *testing.T) {
	tests := []struct{ hex, want string }{
		{"0100007F:1F90", "127.0.0.1:8080"},
		{"00000000000000000000000001000000:0050", "[::1]:80"},
		{"B80D0120000000000000000001000000:01BB", "[2001:db8::1]:443"},
	}
	for _, test := range tests {
		if got, err := parseHexAddr(test.hex); err != nil || got.String() != test.want {
			t.Errorf("%s: %s, %v", test.hex, got, err)
		}
	}
	for _, bad := range []string{"", "01", "0100007F", "0100007F:X", "zz:1F90"} {
		if _, err := parseHexAddr(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
