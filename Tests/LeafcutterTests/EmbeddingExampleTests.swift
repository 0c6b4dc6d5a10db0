import Foundation
import GoldenSupport
import LeafFormat
import LeafSystem
import Testing

@Suite("The embedding example") struct EmbeddingExampleTests {
    @Test func recitesThePoem() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("demo.leaf")
        try Fixture.convert(Golden.demoModel, weights: .int8, to: path)
        let process = Process()
        process.executableURL = Golden.builtProduct("embedding")
        process.arguments = [path, "《登鹳雀楼》王之涣\n"]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let text = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        #expect(String(decoding: text, as: UTF8.self) == "白日依山尽，黄河入海流。\n欲穷千里目，更上一层楼。\n")
    }
}
