import Foundation
import GoldenSupport
import LeafFormat
import LeafImport
import LeafSystem
import Testing

@Suite("interrupted conversions") struct InterruptionTests {
    static let source = Forms.path("ant-tiny-c/cpm-live/ant-tiny-c.pt")

    @Test func aCancelledConversionGoesOnToTheSameBytes() throws {
        let whole = try Conversion(Self.source)
        let expected = try Data(contentsOf: URL(filePath: whole.file.path))
        for limit in 0..<18 {
            let directory = try TemporaryDirectory()
            let path = directory.path("model.leaf")
            var chunks = 0
            let error = failure {
                _ = try Converter(source: Self.source, output: path).run(isCancelled: {
                    chunks += 1
                    return chunks > limit
                })
            }
            guard error != nil else { break }
            #expect(error?.kind == .cancelled)
            #expect(!FileManager.default.fileExists(atPath: path))
            var first: ConversionProgress?
            let result = try Converter(source: Self.source, output: path).run(progress: { first = first ?? $0 })
            #expect(try Data(contentsOf: URL(filePath: path)) == expected)
            #expect(result.blocksResumed == first?.blocksDone)
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory.url.path) == ["model.leaf"])
        }
    }

    /// The process kills itself in the middle of a write, as `kill -9` would.
    @Test(arguments: [0, 3, 11, 24, 38]) func aKilledConversionGoesOnToTheSameBytes(calls: Int) async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("model.leaf")
        await #expect(processExitsWith: .signal(SIGKILL)) { [calls = calls as Int, path = path as String] in
            var options = ConversionOptions()
            options.commitBytes = 0
            options.calls.killProcess(afterWrites: calls)
            _ = try Converter(source: InterruptionTests.source, output: path, options: options).run()
        }
        #expect(!FileManager.default.fileExists(atPath: path))
        #expect(failure { _ = try LeafFile.open(path: path + ".part") } != nil)
        _ = try Converter(source: Self.source, output: path).run()
        let whole = try Conversion(Self.source)
        #expect(try Data(contentsOf: URL(filePath: path)) == Data(contentsOf: URL(filePath: whole.file.path)))
    }

    @Test func aChangedSourceBeginsAgain() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("model.leaf")
        let source = directory.path("a.pt")
        try FileManager.default.copyItem(atPath: Self.source, toPath: source)
        let json = Golden.model("ant-tiny-c/cpm-live/ant-tiny-c.json").path
        try FileManager.default.copyItem(atPath: json, toPath: directory.path("a.json"))
        var chunks = 0
        _ = failure {
            _ = try Converter(source: source, output: path).run(isCancelled: {
                chunks += 1
                return chunks > 9
            })
        }
        try FileManager.default.setAttributes([.modificationDate: Date(timeIntervalSince1970: 9)], ofItemAtPath: source)
        let result = try Converter(source: source, output: path).run()
        #expect(result.blocksResumed == 0)
        #expect(result.warnings.contains { $0.contains("was dropped") })
    }

    @Test func aFullDiskIsSaidSo() throws {
        let directory = try TemporaryDirectory()
        var options = ConversionOptions()
        options.calls.write = { descriptor, bytes, size, offset in
            guard offset + size < 60_000 else {
                errno = ENOSPC
                return -1
            }
            return pwrite(descriptor, bytes, size, offset)
        }
        let path = directory.path("model.leaf")
        let error = failure { _ = try Converter(source: Self.source, output: path, options: options).run() }
        #expect(error?.kind == .io)
        #expect(error?.description.contains("full after") == true)
        #expect(error?.description.contains("run the same command again") == true)
    }
}
