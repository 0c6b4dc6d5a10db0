/// The site whose pages may ask, as browsers write it into `Origin`, letter by letter: `https://example.org:8443`.
/// `*` stands for all, `null` for pages of no site.
package struct PageOrigin: Sendable, Equatable {
    package let text: String

    /// Nil for what no browser sends: capital letters, a path, a port that goes without saying, several sites.
    package init?(_ text: String) {
        guard text == "*" || text == "null" || Self.isSite(text[...]) else { return nil }
        self.text = text
    }

    private static func isSite(_ text: Substring) -> Bool {
        let scheme = text.prefix { $0 != ":" }
        let rest = text[scheme.endIndex...]
        guard isWord(scheme, beside: "+-."), rest.hasPrefix("://") else { return false }
        let place = rest.dropFirst(3)
        let host: Substring
        if place.hasPrefix("[") {
            guard let end = place.firstIndex(of: "]"), isWord(place[..<end].dropFirst(), beside: ":.") else {
                return false
            }
            host = place[...end]
        } else {
            host = place.prefix { $0 != ":" }
            guard isWord(host, beside: "-._") else { return false }
        }
        let port = place[host.endIndex...]
        return port.isEmpty || port.hasPrefix(":") && isPort(port.dropFirst(), of: scheme)
    }

    private static func isWord(_ text: Substring, beside others: String) -> Bool {
        !text.isEmpty
            && text.unicodeScalars.allSatisfy {
                ("a"..."z").contains($0) || ("0"..."9").contains($0) || others.unicodeScalars.contains($0)
            }
    }

    private static func isPort(_ digits: Substring, of scheme: Substring) -> Bool {
        guard let port = UInt16(digits), port > 0, String(port) == digits else { return false }
        return !(scheme == "http" && port == 80 || scheme == "https" && port == 443)
    }
}
