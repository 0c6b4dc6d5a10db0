import Foundation
import GoldenSupport
import LeafFormat
import LeafImport
import LeafSystem
import Testing

@Suite("unfinished downloads") struct UnfinishedDownloadTests {
    private static let out = "cpmant.encoder.layers.1.ffn.ffn.w_out.weight"

    @Test(arguments: WeightFormat.allCases) func rowsOfZerosAreCountedAndSaid(weights: WeightFormat) throws {
        func warnings(_ rows: Range<Int>, _ names: [String]) throws -> [String] {
            var folder = try Folder()
            for name in names {
                folder.change(name) { floats, shape in
                    // Both zeros are.
                    for index in rows.lowerBound * shape[1]..<rows.upperBound * shape[1] {
                        floats[index] = index % 2 == 0 ? 0 : -0.0
                    }
                }
            }
            try folder.write()
            return try Conversion(folder.directory.url.path, weights).result.warnings.filter { $0.contains("zeros") }
        }
        let query = "cpmant.encoder.layers.0.self_att.self_attention.project_q.weight"
        let one = try warnings(5..<21, [Self.out])
        #expect(one.count == 1)
        #expect(one.first?.contains("model.safetensors: 16 of 48 rows of \(Self.out) are zeros, as in") == true)
        let both = try warnings(0..<48, [Self.out, query])
        #expect(both.count == 1)
        #expect(both.first?.contains("48 of 96 rows of \(query) are zeros, and so are many of 1 more matrices") == true)
        let table = try warnings(100..<300, ["cpmant.input_embedding.weight"])
        #expect(table.first?.contains("200 of 300 rows of cpmant.input_embedding.weight") == true)
        #expect(try warnings(5..<20, [Self.out, query]).isEmpty)
    }

    @Test func whatAnEarlierRunConvertedIsSaidNotToBeCounted() throws {
        var folder = try Folder()
        folder.change(Self.out) { floats, shape in for index in 0..<16 * shape[1] { floats[index] = 0 } }
        try folder.write()
        let path = folder.directory.path("model.leaf")
        var chunks = 0
        let stopped = failure {
            _ = try Converter(source: folder.directory.url.path, output: path).run(isCancelled: {
                chunks += 1
                return chunks > 9
            })
        }
        #expect(stopped?.kind == .cancelled)
        let result = try Converter(source: folder.directory.url.path, output: path).run()
        #expect(result.blocksResumed > 0)
        let warning = result.warnings.first { $0.contains("zeros") }
        #expect(warning?.contains("16 of 48 rows of \(Self.out)") == true)
        #expect(warning?.contains("that an earlier run converted were not counted again") == true)
    }

    /// Of a folder, a file and a shard; beside the weights, and as the end of their name.
    @Test(arguments: [".aria2", ".part", ".crdownload", ".incomplete", ".download", ".!qB", ".partial"])
    func downloadsThatWereNotFinishedAreRefused(mark: String) throws {
        let folder = try Folder()
        try folder.write()
        let path = folder.directory.path("model.safetensors")
        try [UInt8]().write(to: path + mark)
        for source in [folder.directory.url.path, path] {
            let error = failure { _ = try Conversion(source) }
            #expect(error?.kind == .badInput)
            #expect(error?.description.contains("model.safetensors\(mark), the mark of a download") == true)
        }
        try FileManager.default.removeItem(atPath: path + mark)
        _ = try Conversion(path)
        try FileManager.default.moveItem(atPath: path, toPath: path + mark)
        let error = failure { _ = try Conversion(path + mark) }
        #expect(error?.description.contains("is a download that was not finished, as \(mark) says") == true)

        let sharded = try TemporaryDirectory()
        let source = Forms.path("ant-tiny-c/hf-safetensors-sharded")
        for name in try FileManager.default.contentsOfDirectory(atPath: source) {
            try FileManager.default.copyItem(atPath: "\(source)/\(name)", toPath: sharded.path(name))
        }
        try [UInt8]().write(to: sharded.path("model-00002-of-00002.safetensors") + mark)
        let shard = failure { _ = try Conversion(sharded.url.path) }
        #expect(shard?.description.contains("model-00002-of-00002.safetensors is not whole") == true)
    }
}
