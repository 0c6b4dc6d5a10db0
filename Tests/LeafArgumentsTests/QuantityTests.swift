import LeafFormat
import LeafSystem
import Testing

@Suite struct QuantityTests {
    @Test(arguments: [
        ("0", 0), ("4096", 4096), ("512MiB", 536_870_912), ("2GiB", 2_147_483_648), ("4GB", 4_000_000_000),
        ("1.5GiB", 1_610_612_736), ("1.5gib", 1_610_612_736), ("64K", 65536), ("3kB", 3000), ("2M", 2_097_152),
        ("1TB", 1_000_000_000_000), ("10B", 10), ("0.5", 0),
    ])
    func sizesAreRead(text: String, bytes: Int) {
        #expect(ByteCount(text)?.bytes == bytes)
    }

    @Test(arguments: [
        "", "GiB", "-1", "1e9", "0x10", "nan", "inf", "1.2.3", ".5", "5.", "2 GiB", "2GiBs", "٣", "9e99TiB",
        "99999999999TiB",
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
    }
}
