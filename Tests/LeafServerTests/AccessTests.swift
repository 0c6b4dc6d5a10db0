import Foundation
import GoldenSupport
import LeafServer
import LeafSystem
import Testing

/// Who may ask, and by what name.
@Suite struct AccessTests {
    @Test func keysAreTakenWholeAndNothingElse() {
        let keys = KeyRing(["secret", "other key", "密钥"])
        #expect(keys.place(of: "Bearer secret") == 0)
        #expect(keys.place(of: "bearer   secret ") == 0)
        #expect(keys.place(of: "Bearer other key") == 1)
        #expect(keys.place(of: "Bearer 密钥") == 2)
        for wrong in [
            nil, "", "Bearer", "Bearer ", "secret", "Basic secret", "Bearer secre", "Bearer secretx", "Bearer Secret",
            "Bearer " + String(repeating: "x", count: 10_000),
        ] {
            #expect(keys.place(of: wrong) == nil, "\(wrong ?? "nil")")
        }
    }

    @Test func anOriginIsWhatABrowserSends() {
        for origin in [
            "*", "null", "https://leaf.example", "http://localhost:3000", "http://[::1]:8080", "https://127.0.0.1",
            "https://a_b.xn--fiqs8s", "chrome-extension://abcdef", "http://a:443",
        ] {
            #expect(PageOrigin(origin)?.text == origin, "\(origin)")
        }
        for wrong in [
            "", "a.example", "https://a.example/", "https://a.example/x", "https://a.example,https://b.example",
            "https://a.example https://b.example", "https://A.example", "https://", "://a", "https:/a", "https://a:",
            "https://a:0", "https://a:080", "https://a:70000", "https://a:443", "http://a:80", "https://u@a",
            "https://*.example", "https://树叶.example", "http://[::1", "http://[]", "http://[::1]x", "a:80",
        ] {
            #expect(PageOrigin(wrong) == nil, "\(wrong)")
        }
    }

    @Test func aNameThatIsAllowedHasNoSchemeAndNoPort() {
        for name in ["ant.example", "ANT", "10.0.0.7", "[fd00::7]", "a_b-c.xn--fiqs8s"] {
            #expect(HostName(name)?.text == name, "\(name)")
        }
        for wrong in ["", "[]", "[", "ant:80", "https://ant", "ant/", "a b", "*", "树叶", "fd00::7", "a,b"] {
            #expect(HostName(wrong) == nil, "\(wrong)")
        }
    }

    @Test func aServerOfThisMachineIsCalledByItsOwnNames() {
        let rule = HostRule([.internet(host: "127.0.0.1", port: 8080)], allowed: ["Ant.Example"])
        for name in ["localhost", "localhost:8080", "127.0.0.1:1", "127.3.2.1", "[::1]:8080", "ant.example:80"] {
            #expect(rule.admits(name), "\(name)")
        }
        for name in [
            nil, "", "evil.example", "evil.example:8080", "10.0.0.1", "127.evil.example", "[::2]", "[",
            "localhost.evil",
        ] {
            #expect(!rule.admits(name), "\(name ?? "nil")")
        }
    }

    @Test func aServerOfTheNetworkIsCalledByNumbersAndByNamesThatWereAllowed() {
        let rule = HostRule([.internet(host: "0.0.0.0", port: 80)], allowed: [])
        #expect(rule.admits("192.168.1.7:80"))
        #expect(rule.admits("[fe80::1]"))
        #expect(!rule.admits("evil.example"))
    }

    @Test func aPageIsTheServersByThePlaceThatIsCalledOrByANameThatWasAllowed() {
        let rule = HostRule([.internet(host: "127.0.0.1", port: 8080)], allowed: ["Ant.Example", "[fd00::7]"])
        for (origin, host) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080"), ("https://localhost", "LOCALHOST"),
            ("http://[::1]:8080", "[::1]:8080"), ("https://ant.example", "127.0.0.1:8080"),
            ("http://ant.example:8443", "localhost"), ("https://[fd00::7]", "localhost"),
        ] { #expect(rule.isOwn(origin, calledBy: host), "\(origin)") }
        for (origin, host) in [
            ("https://evil.example", "127.0.0.1:8080"), ("null", "null"), ("http://localhost:3000", "localhost:8080"),
            ("http://127.0.0.1:80800", "127.0.0.1:8080"), ("https://ant.example.evil", "localhost"), ("", ""),
            ("ftp://ant.example", "localhost"), ("http://evil", nil), ("https://[fd00::8]", "localhost"),
        ] { #expect(!rule.isOwn(origin, calledBy: host), "\(origin)") }
    }

    @Test func aSocketInTheFileSystemHasNoName() {
        #expect(HostRule([.unix(path: "/run/x")], allowed: []).admits(nil))
    }

    @Test(arguments: [
        ("127.0.0.1:8080", "127.0.0.1:8080"), (":80", "0.0.0.0:80"), ("[::1]:0", "[::1]:0"),
        ("unix:/run/a:b", "unix:/run/a:b"), ("localhost:65535", "localhost:65535"),
    ])
    func addressesAreRead(_ text: String, _ description: String) {
        #expect(ListeningAddress(text)?.description == description)
    }

    @Test(arguments: ["", "8080", "host", "host:", "host:99999", "host:-1", "::1:80", "unix:", "a:b:c"])
    func whatIsNoAddressIsNone(_ text: String) { #expect(ListeningAddress(text) == nil) }

    @Test(arguments: [
        ("", ""), ("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("::1", "0:0:0:0::/64"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"), ("fe80::1%eth0", "fe80:0:0:0::/64"),
    ])
    func clientsAreToldApartByTheirNetworks(_ peer: String, _ client: String) {
        #expect(ClientAddress.client(of: peer) == client)
    }

    @Test func aKeyFileWithoutKeysIsRefused() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("keys")
        try Data("# none\n\n  \n".utf8).write(to: URL(filePath: path))
        #expect(throws: LeafError.self) { try KeyRing(path: path) }
        try Data("# two\n one \r\ntwo".utf8).write(to: URL(filePath: path))
        let keys = try KeyRing(path: path)
        #expect(keys.place(of: "Bearer one") == 0)
        #expect(keys.place(of: "Bearer two") == 1)
    }
}
