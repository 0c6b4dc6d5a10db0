import LeafSystem
import Testing

@Suite("texts and numbers") struct TextTests {
    @Test func nothingThatATerminalObeysIsPrintable() {
        #expect("\u{1B}]0;owned\u{7}".printable == #"\u{1b}]0;owned\u{7}"#)
        #expect("a\nb\r\tc\u{0}".printable == #"a\u{a}b\u{d}\u{9}c\u{0}"#)
        #expect("\u{7F}\u{80}\u{9B}31m\u{9F}\u{A0}".printable == #"\u{7f}\u{80}\u{9b}31m\u{9f}\u{a0}"#)
        #expect("a b\u{3000}c\u{2009}".printable == #"a b\u{3000}c\u{2009}"#)
        for mark in ["\u{202A}", "\u{202E}", "\u{2066}", "\u{2069}", "\u{200F}", "\u{061C}", "\u{2028}"] {
            #expect("a\(mark)b".printable.hasPrefix("a\\u{") && !"a\(mark)b".printable.contains(mark))
        }
        for text in ["", "春眠不觉晓 é \\u{1b} 👩‍👩‍👧", "a b.leaf"] { #expect(text.printable == text) }
        let all = String(String.UnicodeScalarView((0...0x2100).compactMap(Unicode.Scalar.init)))
        #expect(all.printable.printable == all.printable)
        #expect("\u{1B}a\r\n\tb\u{9B}\n".printableLines == "\\u{1b}a\\u{d}\n\tb\\u{9b}\n")
        #expect(!all.printable.unicodeScalars.contains { $0.properties.generalCategory == .control })
    }

    @Test func whatNobodySeesIsPrintedAsAnEscape() {
        for value: UInt32 in [0xAD, 0x200B, 0x2060, 0xFEFF, 0x3164, 0xE0041, 0x200D, 0xFE0F] {
            let (mark, number) = (Unicode.Scalar(value) ?? " ", String(value, radix: 16))
            #expect("--mem\(mark)ory".printable == "--mem\\u{\(number)}ory")
            #expect("\(mark)春".printable == "\\u{\(number)}春")
            #expect("春\(mark)眠".printable == "春\\u{\(number)}眠")
            // What a model wrote is no name.
            #expect("春\(mark)眠".printableLines == "春\(mark)眠")
        }
        // Joiners and selectors that do something.
        let emoji = ["\u{1F469}\u{200D}\u{1F680}", "\u{2764}\u{FE0F}\u{200D}\u{1F525}"]
        for text in emoji + ["می\u{200C}خواهم", "क्\u{200D}ष"] { #expect(text.printable == text) }
    }

    @Test func everyErrorIsOnePrintableLine() {
        #expect(LeafError(.badInput, "x\u{1B}[2J\n: y").description == #"x\u{1b}[2J\u{a}: y"#)
    }

    @Test func whatRoundsToZeroIsNotZero() {
        for zero in ["0", "-0.0", "0e5", "00.000E-99"] { #expect(zero.isZero) }
        for other in ["1e-400", "-0.001e-99", "0.10"] { #expect(!other.isZero) }
    }

    @Test func longListsAreCut() {
        #expect(["a", "b"].listed() == "a, b")
        #expect((1...9).map(String.init).listed() == "1, 2, 3, 4 and 5 more")
        #expect([String]().listed() == "")
    }

    @Test func ratesAreWrittenWithOrWithoutASecond() {
        for text in ["1GB/s", "1GB", "1gb/S", "1000MB/s", "1000000000"] {
            #expect(ByteRate(text)?.bytesPerSecond == 1_000_000_000, "\(text)")
        }
        #expect(ByteRate("1.5KiB/s")?.bytesPerSecond == 1536)
        for text in ["", "/s", "0", "0/s", "0.5", "-1/s", "1GB/m", "1/s/s", "GB/s", "1e30", "99999999999TB/s"] {
            #expect(ByteRate(text) == nil, "\(text)")
        }
    }

    /// Whoever types 5 or 200 thinks of megabytes.
    @Test func aRateThatIsHardlyMeantIsDoubted() {
        for text in ["5", "5/s", "200", "3000", "99999", "0.5kB/s", "5B/s", "999b"] {
            let doubt = ByteRate.doubt(about: text)
            #expect(doubt?.contains("MB/s") == true, "\(text)")
            #expect(doubt?.contains("means \(ByteRate(text)?.bytesPerSecond ?? 0) byte") == true, "\(text)")
        }
        for text in ["5MB/s", "1kB", "1KiB/s", "100000", "1000000000/s", "fast", "0"] {
            #expect(ByteRate.doubt(about: text) == nil, "\(text)")
        }
    }
}
