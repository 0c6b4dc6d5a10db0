import Foundation
import GoldenSupport
import LeafFormat
import LeafImport
import LeafSystem
import Testing

@Suite("zip archives") struct ZipArchiveTests {
    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory() }

    private static let entries: [Archive.Entry] = [
        .init("a", Array("first".utf8)), .init("folder/ü", []), .init("b", [UInt8](repeating: 7, count: 5000)),
    ]

    private func open(_ bytes: [UInt8]) throws -> ZipArchive {
        try bytes.write(to: folder.path("x.zip"))
        var allowance = HeapAllowance.unlimited
        return try ZipArchive(InputFile(path: folder.path("x.zip")), &allowance)
    }

    private func refusal(_ archive: Archive) -> String {
        let error = failure {
            let zip = try open(archive.bytes)
            for name in zip.entries.keys { _ = try zip.bytes(of: name, atMost: 1 << 20) }
        }
        #expect(error == nil || error?.kind == .badInput)
        return error?.description ?? "accepted"
    }

    @Test(arguments: [false, true], [false, true]) func entriesAreFound(hasWideEnd: Bool, hasWideEntries: Bool) throws {
        for comment in [[], Array("PK\u{5}\u{6} is not the end".utf8), [UInt8](repeating: 0x50, count: 0xFFFF)] {
            var archive = Archive(Self.entries)
            archive.isWide = hasWideEnd
            archive.comment = comment
            for index in archive.entries.indices { archive.entries[index].isWide = hasWideEntries }
            let zip = try open(archive.bytes)
            #expect(Set(zip.entries.keys) == ["a", "folder/ü", "b"])
            for entry in Self.entries {
                #expect(zip.entries[entry.name]?.byteCount == entry.contents.count)
                #expect(try zip.bytes(of: entry.name, atMost: 5000) == entry.contents)
            }
            #expect(try zip.storage("c") == nil)
            #expect(failure { _ = try zip.bytes(of: "b", atMost: 4999) }?.description.contains("too much") == true)
        }
    }

    /// What torch writes has a zip64 end beside the plain one.
    @Test func torchsArchivesAreRead() throws {
        let file = try InputFile(path: Forms.fixture("plain.pt"))
        var allowance = HeapAllowance.unlimited
        let zip = try ZipArchive(file, &allowance)
        #expect(allowance.held > 0 && allowance.held < 1 << 16)
        #expect(zip.entries.keys.contains { $0.hasSuffix("/data.pkl") })
        for name in zip.entries.keys { #expect(try zip.bytes(of: name, atMost: 1 << 20).count >= 0) }
    }

    @Test func whatIsNoPlainArchiveIsRefused() {
        func bent(_ change: (inout Archive) -> Void) -> String {
            var archive = Archive(Self.entries)
            change(&archive)
            return refusal(archive)
        }
        #expect(bent { _ in } == "accepted")
        #expect(bent { $0.entries[0].method = 8 }.contains("packed or encrypted"))
        for flag: UInt16 in [0x1, 0x40, 0x2000] {
            #expect(bent { $0.entries[2].flags = flag }.contains("packed or encrypted"))
        }
        #expect(bent { $0.entries[2] = .init("a", [1]) }.contains("entry a is there twice"))
        #expect(bent { $0.entries[0].size = 1 << 30 }.contains("more than the file has"))
        // Each fits the file alone, but not all.
        #expect(bent { for index in 0..<3 { $0.entries[index].size = 5000 } }.contains("more than the file has"))
        #expect(bent { $0.entries[0].header = 1 }.contains("not where the table says"))
        #expect(bent { $0.entries[0].header = UInt64(UInt32.max) - 1 }.contains("not where the table says"))
        // One entry's header where another's is wanted.
        #expect(bent { $0.entries[2].header = 0 }.contains("not where the table says"))
        #expect(bent { $0.entries[0].size = 6 }.contains("fails its checksum"))
        #expect(bent { $0.table = 0 }.contains("table is damaged"))
        #expect(bent { $0.table = 1 << 31 }.contains("lies outside"))
        for count: UInt64 in [0, 2, 4] { #expect(bent { $0.count = count }.contains("table is damaged")) }
    }

    @Test func impossibleNumbersInWideFieldsAreRefused() {
        for number: UInt64 in [.max, 1 << 63, (1 << 63) - 1, 1 << 62, 1 << 40] {
            for change: (inout Archive) -> Void in [
                { $0.count = number }, { $0.table = number }, { $0.entries[0].size = number },
                { $0.entries[0].header = number },
            ] {
                var archive = Archive(Self.entries)
                archive.isWide = true
                archive.entries[0].isWide = true
                change(&archive)
                #expect(refusal(archive) != "accepted")
            }
        }
    }

    @Test func aCutOrChangedArchiveNeverCrashes() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        var archive = Archive(Self.entries.map { .init($0.name, Array($0.contents.prefix(40))) })
        archive.comment = [1, 2, 3]
        for isWide in [false, true] {
            archive.isWide = isWide
            for index in archive.entries.indices { archive.entries[index].isWide = isWide }
            let original = archive.bytes
            for round in 0..<1500 {
                var bytes = original
                if round % 4 == 0 { bytes.removeLast(Int.random(in: 1...bytes.count, using: &generator)) }
                for _ in 0..<Int.random(in: 0...3, using: &generator) where !bytes.isEmpty {
                    let offset = Int.random(in: 0..<bytes.count, using: &generator)
                    bytes[offset] = [0, 0xFF, UInt8.random(in: 0...255, using: &generator)]
                        .randomElement(using: &generator)!
                }
                let error = failure {
                    let zip = try open(bytes)
                    for name in zip.entries.keys { _ = try zip.bytes(of: name, atMost: 1 << 20) }
                }
                #expect(error == nil || error?.kind == .badInput, "seed \(seed)")
            }
        }
    }
}
