package proxy

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// AnyHost is for Config.Hosts: requests for whatever host are served. It is for a proxy
// that no web browser can reach, or that is known under names that it does not know.
func AnyHost(string) bool { return true }

// Hosts is for Config.Hosts: requests are served that are for a loopback address, localhost
// or one of these names. A web page's own host can be made to resolve to loopback (DNS
// rebinding), but not to have another name.
func Hosts(names ...string) func(hostPort string) bool {
	names = append([]string{"localhost"}, names...)
	return func(hostPort string) bool {
		name := hostname(hostPort)
		if ip, err := netip.ParseAddr(name); err == nil {
			return ip.Unmap().IsLoopback() || slices.Contains(names[1:], name)
		}
		return name != "" && slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
	}
}

// hostname returns a host without port and brackets, or nothing of what is none.
func hostname(hostPort string) string {
	if name, port, err := net.SplitHostPort(hostPort); err == nil {
		if strings.Trim(port, "0123456789") != "" {
			return ""
		}
		return name
	}
	return strings.TrimSuffix(strings.TrimPrefix(hostPort, "["), "]")
}
