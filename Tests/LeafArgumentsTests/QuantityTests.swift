import LeafArguments
import LeafFormat
import LeafSystem
import Testing

@Suite struct QuantityTests {
    @Test(arguments: [
        ("0", 0), ("4096", 4096), ("512MiB", 536_870_912), ("2GiB", 2_147_483_648), ("4GB", 4_000_000_000),
        ("1.5GiB", 1_610_612_736), ("1.5gib", 1_610_612_736), ("64K", 65536), ("3kB", 3000), ("2M", 2_097_152),
        ("1TB", 1_000_000_000_000), ("10B", 10), ("2.0", 2), ("0KiB", 0),
    ])
    func sizesAreRead(text: String, bytes: Int) {
        #expect(ByteCount(text)?.bytes == bytes)
    }

    @Test(arguments: [
        "", "GiB", "-1", "1e9", "0x10", "nan", "inf", "1.2.3", ".5", "5.", "2 GiB", "2GiBs", "٣", "9e99TiB",
        "99999999999TiB", "0.5", "2.5", "2.5b", "0.0001KiB",
    ])
    func otherTextsAreNoSizes(text: String) {
        #expect(ByteCount(text) == nil)
    }

    @Test func sizesAreWrittenAsPeopleSayThem() {
        let sizes = [0, 512, 1023, 1024, 1536, 1_048_575, 60_817_408, 1_073_741_823, 2_147_483_648, 1 << 43]
        #expect(
            sizes.map { "\(ByteCount(bytes: $0))" }
                == [
                    "0 B", "512 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "58.0 MiB", "1.00 GiB", "2.00 GiB",
                    "8.00 TiB",
                ])
    }

    @Test func whatIsNeededIsNeverRoundedDown() {
        let sizes = [1, 58 << 20, (58 << 20) + 1, (1 << 30) - (1 << 20) + 1, 1 << 30, (1 << 30) + 1, 9_479_127_040]
        #expect(
            sizes.map(\.roundedUpText)
                == ["1 MiB", "58 MiB", "59 MiB", "1.00 GiB", "1.00 GiB", "1.01 GiB", "8.83 GiB"])
        var random = SystemRandomNumberGenerator()
        for _ in 0..<1000 {
            let bytes = Int.random(in: 1...1 << Int.random(in: 20...45), using: &random)
            let read = ByteCount(bytes.roundedUpText.filter { $0 != " " })
            #expect((read?.bytes ?? 0) >= bytes, "\(bytes)")
            #expect(bytes.roundedUpForPeople == read?.bytes, "\(bytes)")
            #expect(bytes.roundedUpForPeople.roundedUpText == bytes.roundedUpText, "\(bytes)")
            #expect((read?.bytes ?? 0) - bytes <= max(1 << 20, (1 << 30) / 100), "\(bytes)")
        }
    }

    @Test func filesAndReadingsAreDecimal() {
        let sizes = [0, 999, 860_000, 13_900_000, 999_600_000, 9_400_000_000, 2_000_000_000_000]
        #expect(sizes.map(\.diskText) == ["0 B", "999 B", "860 kB", "14 MB", "1.00 GB", "9.40 GB", "2.00 TB"])
    }

    @Test func oneIsNoPlural() {
        #expect([0, 1, 2].map { $0.of("token") } == ["0 tokens", "1 token", "2 tokens"])
    }

    @Test func timesAreReadAsPeopleTypeThem() {
        #expect(
            ["1s", "1", "500ms", "1.5s", "2min"].map { Seconds(argument: $0)?.seconds } == [1, 1, 0.5, 1.5, 120])
        for text in ["", "s", "0", "0s", "-1s", "1h", "1 s", "nan", ".5s", "5.s", "1e3", "٣s"] {
            #expect(Seconds(argument: text) == nil, "\(text)")
        }
    }

    @Test func whatHasTheFormAndNoValueIsToldApart() {
        for text in ["99999999999999999999", "99999999999GiB", String(repeating: "9", count: 400)] {
            #expect(ByteCount.fault(in: text)?.hasPrefix("is too large") == true, "\(text)")
            #expect(ByteRate.fault(in: text + "/s")?.hasPrefix("is too large") == true, "\(text)")
            #expect(Seconds.fault(in: text.filter(\.isNumber) + "min")?.hasPrefix("is too large") == true, "\(text)")
        }
        #expect(ByteCount.fault(in: "0.0001KiB")?.hasPrefix("is too small") == true)
        #expect(ByteRate.fault(in: "0")?.hasPrefix("is too small") == true)
        #expect(Seconds.fault(in: "0s")?.hasPrefix("is too small") == true)
        for text in ["", "1", "lots", "2.5", "-1", "9e99"] {
            #expect(ByteCount.fault(in: text) == nil && ByteRate.fault(in: text) == nil, "\(text)")
        }
        #expect(["", "1s", "1h", "1e3"].allSatisfy { Seconds.fault(in: $0) == nil })
    }

    @Test func decimalsAreRounded() {
        #expect(1.005.fixed(1) == "1.0")
        #expect(0.06.fixed(1) == "0.1")
        #expect((-0.04).fixed(1) == "0.0")
        #expect((-2.5).fixed(0) == "-3")
        #expect(12.3456.fixed(2) == "12.35")
        #expect(Double.infinity.fixed(2) == "inf")
    }

    @Test func ratesAndTimesAreWrittenAsPeopleSayThem() {
        #expect([860e3, 98e6, 1.07e9, 999.6e6].map(\.asByteRate) == ["860 kB/s", "98 MB/s", "1.07 GB/s", "1.00 GB/s"])
        #expect(
            [0.0004, 0.045, 1.32, 42, 59.7, 125, 12000, .infinity].map(\.asDuration)
                == ["0.4 ms", "45 ms", "1.32 s", "42 s", "1 min", "2 min 5 s", "3 h 20 min", "forever"])
        // What somebody typed is never called nothing.
        #expect(
            [1.5, 0.0004, 3.2e-5, 1e-6, 1e-7, 1e-10, 1e-13].map(\.asWrittenDuration)
                == ["1.50 s", "0.4 ms", "32.0 µs", "1.0 µs", "100.0 ns", "0.1 ns", "1e-13 s"])
    }
}
