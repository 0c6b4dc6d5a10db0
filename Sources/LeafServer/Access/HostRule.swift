/// A name by which clients may call a server: `ant.example.org`, `10.0.0.7`, `[fd00::7]`.
package struct HostName: Sendable, Equatable {
    package let text: String

    /// Nil for what never stands there: an empty name, a scheme, a port, a path, `*`.
    package init?(_ text: String) {
        let isAddress = text.hasPrefix("[") && text.hasSuffix("]")
        let name = isAddress ? text.dropFirst().dropLast() : text[...]
        let others = isAddress ? ":." : "-._"
        guard
            !name.isEmpty,
            name.utf8.allSatisfy({ byte in
                let scalar = Unicode.Scalar(byte)
                return scalar.isASCII && scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
                    || others.unicodeScalars.contains(scalar)
            })
        else { return nil }
        self.text = text
    }
}

/// Which names a client may call the server by. A page of another site whose name was made to lead here (DNS rebinding)
/// calls it by that name.
package struct HostRule: Sendable {
    private let names: Set<String>
    /// Those of them that the server's owner gave.
    private let allowed: Set<String>
    /// Whether numbers are names as well: where it listens beyond this machine, its own are not known.
    private let takesNumbers: Bool
    /// A socket in the file system has no name.
    private let takesAll: Bool

    package init(_ addresses: [ListeningAddress], allowed: [String]) {
        var names: Set = ["localhost", "127.0.0.1", "[::1]"]
        for name in allowed { names.insert(name.lowercased()) }
        for case .internet(let host, _) in addresses {
            names.insert(host.contains { $0 == ":" } ? "[\(host.lowercased())]" : host.lowercased())
        }
        self.names = names
        self.allowed = Set(allowed.map { $0.lowercased() })
        takesNumbers = addresses.contains { !$0.isLocal }
        takesAll = addresses.allSatisfy { if case .unix = $0 { true } else { false } }
    }

    package func admits(_ header: String?) -> Bool {
        if takesAll { return true }
        guard let header, !header.isEmpty, let name = Self.name(in: header) else { return false }
        if names.contains(String(name)) || name.hasPrefix("127.") && Self.isNumber(name) { return true }
        return takesNumbers && (name.hasPrefix("[") || Self.isNumber(name))
    }

    /// Whether a page is this server's: one of the place that the client calls, or of a name that the owner gave, at
    /// whatever port. Other pages of this machine are not.
    ///
    /// - Parameters:
    ///   - origin: the page's, as browsers write it.
    ///   - header: `Host`.
    package func isOwn(_ origin: String, calledBy header: String?) -> Bool {
        for scheme in ["http://", "https://"] where origin.lowercased().hasPrefix(scheme) {
            let place = String(origin.lowercased().dropFirst(scheme.count))
            return place == header?.lowercased() || Self.name(in: place).map { allowed.contains(String($0)) } ?? false
        }
        return false
    }

    /// Without the port, in small letters.
    private static func name(in place: String) -> Substring? {
        let name = place.lowercased()[...]
        guard name.hasPrefix("[") else { return name.prefix { $0 != ":" } }
        return name.firstIndex(of: "]").map { name[...$0] }
    }

    private static func isNumber(_ name: Substring) -> Bool {
        !name.isEmpty && name.allSatisfy { $0.isASCII && $0.isNumber || $0 == "." }
    }
}
