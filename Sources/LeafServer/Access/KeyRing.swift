import COpenSSL
import LeafFormat
package import LeafSystem

/// The keys that clients may have.
package struct KeyRing: Sendable {
    private let keys: [[UInt8]]
    private static let longest = 512
    private static let mostBytes = 1 << 20

    /// - Parameter path: of a file with one key a line; empty lines and those that begin with # are none.
    /// - Throws: `.io` if it cannot be read, `.badInput` if it holds none.
    package init(path: String) throws(LeafError) {
        let bytes = try InputFile(path: path, readsPages: true).bytes(atMost: Self.mostBytes, what: "keys")
        keys = bytes.split(whereSeparator: { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") })
            .map { Array($0).trimmed }
            .filter { !$0.isEmpty && $0.first != UInt8(ascii: "#") }
        guard !keys.isEmpty else {
            throw LeafError(.badInput, "\(path) holds no key; write one a line")
        }
        guard keys.allSatisfy({ $0.count <= Self.longest }) else {
            throw LeafError(.badInput, "\(path) holds a key of more than \(Self.longest) bytes; use shorter ones")
        }
    }

    package init(_ keys: [String]) { self.keys = keys.map { Array($0.utf8) } }

    /// The place of the key in the file; nil for one that is not there.
    ///
    /// Looks at every byte of every key, so that the time tells nothing of how much was right.
    ///
    /// - Parameter authorization: a header, `Bearer KEY`.
    package func place(of authorization: String?) -> Int? {
        guard let authorization, authorization.utf8.count <= Self.longest + 16 else { return nil }
        let words = authorization.split(separator: " ", maxSplits: 1)
        guard words.count == 2, words[0].lowercased() == "bearer" else { return nil }
        let given = Array(words[1].utf8).trimmed
        var place: Int?
        for (index, key) in keys.enumerated() where Self.isEqual(key, given) { place = index }
        return place
    }

    /// Who has a key, for what is kept of them: a digest that does not give the key away, and stays the same when keys
    /// come and go.
    ///
    /// - Parameter place: of the key.
    package func owner(at place: Int) -> String {
        let bytes = Array("leafcutter files ".utf8) + keys[place]
        var digest = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        EVP_Digest(bytes, bytes.count, &digest, nil, EVP_sha256(), nil)
        return digest.prefix(16).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private static func isEqual(_ key: [UInt8], _ given: [UInt8]) -> Bool {
        var difference = key.count ^ given.count
        for index in key.indices { difference |= Int(key[index] ^ (index < given.count ? given[index] : 0)) }
        return difference == 0
    }
}

extension [UInt8] {
    fileprivate var trimmed: [UInt8] {
        let isSpace: (UInt8) -> Bool = { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
        let rest = drop(while: isSpace)
        return Array(rest[..<(rest.lastIndex { !isSpace($0) }.map { $0 + 1 } ?? rest.startIndex)])
    }
}
