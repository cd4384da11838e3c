package config

import (
	"net"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// maxPasses is more than anybody waits for.
const maxPasses = 1000

func (c *Config) checkHealth(k *checker) {
	h := c.Health
	k.atLeast("health.passes", h.Passes, 1)
	if h.Passes > maxPasses {
		k.bad("health.passes", "%d is more than %d", h.Passes, maxPasses)
	}
	k.positive("health.interval", h.Interval)
	k.positive("health.timeout", h.Timeout)
	k.probe(h.Probe.Duration)
	if h.Soak.Duration != 0 {
		k.positive("health.soak", h.Soak)
	}
	k.oneOf("health.log", h.Log, logModes)
	k.noNUL("health", h.Run, h.Body)
	if h.Status < 100 || h.Status > 599 {
		k.bad("health.status", "%d is no HTTP status", h.Status)
	}
	if h.Passes <= maxPasses && time.Duration(h.Passes-1)*h.Interval.Duration >= h.Timeout.Duration {
		k.bad("health.timeout", "%d passes, one every %s, take longer than %s", h.Passes, h.Interval, h.Timeout)
	}
	k.namesRelease(h.Release)
	if h.TCP != "" && !path.IsAbs(h.TCP) {
		k.tcp("health.tcp", h.TCP)
	}
	if h.URL == "" {
		if h.Release != "" || h.Body != "" {
			k.bad("health", "body and release need url").hint = `url = "http://127.0.0.1:8080/" is what is asked`
		}
		return
	}
	if rest, unix := strings.CutPrefix(h.URL, "http+unix:"); unix {
		if socket, at, found := strings.Cut(rest, ":"); !found || !path.IsAbs(socket) || !path.IsAbs(at) {
			k.bad("health.url", "%q is not of the form http+unix:/SOCKET:/PATH", h.URL)
		}
		return
	}
	u, err := url.Parse(h.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		k.bad("health.url", "%q is no http or https address", h.URL)
	}
}

// probe checks how often a run asks to measure its downtime.
func (k *checker) probe(every time.Duration) {
	if every != 0 && (every < 5*time.Millisecond || every > time.Second) {
		k.bad("health.probe", "%s is neither \"0\", which measures nothing, nor from \"5ms\" to \"1s\"", every)
	}
}

// namesRelease checks where in an answer the release's name is looked for.
func (k *checker) namesRelease(where string) {
	kind, arg, _ := strings.Cut(where, " ")
	arg = strings.TrimSpace(arg)
	switch {
	case where == "", kind == "header" && arg != "" && !strings.ContainsAny(arg, " \t:") && !controls(arg):
		return
	case kind == "body" && arg != "":
		if _, err := regexp.Compile(arg); err != nil {
			k.bad("health.release", "%v", err)
		}
		return
	}
	p := k.bad("health.release", "%q is neither \"header NAME\" nor \"body REGEXP\"", where)
	if !strings.ContainsAny(where, " \t:") {
		p.hint = "release = " + quote("header "+where) + " names a header"
	}
}

func (k *checker) tcp(key, addr string) {
	host, port, err := net.SplitHostPort(addr)
	n, convErr := strconv.ParseUint(port, 10, 16)
	if err == nil && convErr == nil && n > 0 && !strings.ContainsAny(host, "/ \t\n") {
		return
	}
	k.bad(key, "%q is no address with a port, as \"127.0.0.1:8080\"", addr)
}
