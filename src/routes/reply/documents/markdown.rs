//! A document as HTML, for a page whose policy allows no script, no inline style and nothing from other hosts.
//!
//! The parser gives events, and its own writer makes HTML of them. In between, some are replaced:
//!
//! - headings get the identifiers that the links between documents expect, and a link to themselves;
//! - links and pictures lead to where the server has them (`links.rs`); a file that is not served is named instead;
//! - code gets a caption with the file that it is from, and lines of differences are marked;
//! - drawings in Mermaid's notation become pictures (`drawing/`);
//! - what is wider than a small screen can be scrolled, by the keyboard too;
//! - HTML in the document becomes text, and columns lose their alignment, which the writer makes an inline style.

use std::borrow::Cow;
use std::collections::HashMap;

use pulldown_cmark::{Alignment, CodeBlockKind, Event, Options, Parser, Tag, TagEnd, html};

use super::drawing::draw;
use super::links::{Target, resolve};
use super::list::Document;
use crate::routes::reply::template::escape_html;

/// The HTML of `document`.
pub(super) fn to_html(document: &Document) -> String {
    render(document.name, document.markdown)
}

/// The HTML of `markdown`, which is the document that is called `name`.
fn render(name: &str, markdown: &str) -> String {
    let events: Vec<Event> = Parser::new_ext(markdown, Options::ENABLE_TABLES).collect();
    let mut replacement = Replacement { name, identifiers: HashMap::new(), heading: String::new(), file: None };
    let mut drawings = 0;
    let mut code: Option<(CodeBlockKind, String)> = None;
    let mut replaced = Vec::with_capacity(events.len() + events.len() / 8);
    for (at, event) in events.iter().enumerate() {
        match (event, &mut code) {
            (Event::Start(Tag::CodeBlock(kind)), _) => code = Some((kind.clone(), String::new())),
            (Event::End(TagEnd::CodeBlock), Some((kind, text))) => {
                drawings += usize::from(language(kind) == "mermaid");
                replaced.push(Event::Html(figure(kind, text, drawings).into()));
                code = None;
            }
            (Event::Text(more), Some((_, text))) => text.push_str(more),
            _ => replacement.replace(event, &events[at + 1..], &mut replaced),
        }
    }
    let mut page = String::with_capacity(markdown.len() * 3 / 2);
    html::push_html(&mut page, replaced.into_iter());
    page
}

/// What is remembered from one event to the next.
struct Replacement<'a> {
    name: &'a str,
    /// How often a heading has had each identifier.
    identifiers: HashMap<String, usize>,
    /// The identifier of the heading that is open.
    heading: String,
    /// The file that the open link leads to, if it is not served.
    file: Option<String>,
}

impl Replacement<'_> {
    /// Pushes what the writer gets in place of `event`, which `rest` follows.
    fn replace<'e>(&mut self, event: &Event<'e>, rest: &[Event<'e>], replaced: &mut Vec<Event<'e>>) {
        match event {
            Event::Html(text) | Event::InlineHtml(text) => replaced.push(Event::Text(text.clone())),
            Event::Start(Tag::Heading { level, .. }) => {
                self.heading = self.identifier(&heading_text(rest));
                let id = Some(self.heading.clone().into());
                replaced.push(Event::Start(Tag::Heading { level: *level, id, classes: vec![], attrs: vec![] }));
            }
            Event::End(TagEnd::Heading(_)) => {
                let (identifier, words) = (escape_html(&self.heading), "aria-label=\"Link to this section\"");
                let link = format!(" <a class=\"anchor\" href=\"#{identifier}\" {words}>#</a>");
                replaced.extend([Event::InlineHtml(link.into()), event.clone()]);
            }
            Event::Start(Tag::Table(alignments)) => {
                let alignments = vec![Alignment::None; alignments.len()];
                let open = r#"<div class="wide" tabindex="0" role="group" aria-label="Table">"#;
                replaced.extend([Event::Html(open.into()), Event::Start(Tag::Table(alignments))]);
            }
            Event::End(TagEnd::Table) => replaced.extend([event.clone(), Event::Html("</div>\n".into())]),
            Event::Start(Tag::Link { link_type, dest_url, title, id }) => match resolve(self.name, dest_url) {
                Target::Url(url) => replaced.push(Event::Start(Tag::Link {
                    link_type: *link_type,
                    dest_url: url.into(),
                    title: title.clone(),
                    id: id.clone(),
                })),
                Target::File(path) => self.file = Some(path),
            },
            Event::End(TagEnd::Link) => match self.file.take() {
                Some(path) => {
                    let path = format!(" (<code>{}</code>)", escape_html(&path));
                    replaced.push(Event::InlineHtml(path.into()));
                }
                None => replaced.push(event.clone()),
            },
            Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
                let (Target::Url(url) | Target::File(url)) = resolve(self.name, dest_url);
                replaced.push(Event::Start(Tag::Image {
                    link_type: *link_type,
                    dest_url: url.into(),
                    title: title.clone(),
                    id: id.clone(),
                }));
            }
            event => replaced.push(event.clone()),
        }
    }

    /// The identifier of the heading `text`, as viewers of Markdown make it: in lower case, without punctuation, and
    /// with a number if there was one like it.
    fn identifier(&mut self, text: &str) -> String {
        let kept =
            text.chars().filter(|character| character.is_alphanumeric() || [' ', '-', '_'].contains(character));
        let identifier: String =
            kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect();
        let count = self.identifiers.entry(identifier.clone()).or_default();
        *count += 1;
        if *count == 1 { identifier } else { format!("{identifier}-{}", *count - 1) }
    }
}

/// The text of the heading that the events `rest` belong to.
fn heading_text(rest: &[Event]) -> String {
    let events = rest.iter().take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))));
    let texts = events.filter_map(|event| match event {
        Event::Text(text) | Event::Code(text) => Some(&**text),
        _ => None,
    });
    texts.collect()
}

/// The words after the fence of a block of code.
fn info<'a>(kind: &'a CodeBlockKind) -> &'a str {
    match kind {
        CodeBlockKind::Fenced(info) => info.trim(),
        CodeBlockKind::Indented => "",
    }
}

fn language<'a>(kind: &'a CodeBlockKind) -> &'a str {
    info(kind).split(' ').next().unwrap_or_default()
}

/// A block of code, with a caption if the words after its fence name a file; or a drawing, with its text folded below
/// it. `drawing` is its number in the document.
fn figure(kind: &CodeBlockKind, text: &str, drawing: usize) -> String {
    let code =
        |text: &str| format!(r#"<pre tabindex="0" role="group" aria-label="Code"><code>{text}</code></pre>"#);
    let text_or_difference: Cow<str> =
        if language(kind) == "diff" { difference(text).into() } else { escape_html(text) };
    match (language(kind), info(kind).split_once(' ')) {
        ("mermaid", _) => {
            let words = "The drawing as text, in Mermaid's notation";
            let code = code(&text_or_difference);
            match draw(text, &format!("drawing-{drawing}")) {
                Ok(svg) => format!(
                    "<figure><div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"Drawing\">{svg}</div>\
                     <details><summary>{words}</summary>{code}</details></figure>\n"
                ),
                // No document has such a one: tests draw them all.
                Err(_) => format!("<figure><figcaption>{words}</figcaption>{code}</figure>\n"),
            }
        }
        (_, Some((_, file))) if file.contains('.') => {
            let caption = format!("<figcaption><code>{}</code></figcaption>", escape_html(file));
            format!("<figure>{caption}{}</figure>\n", code(&text_or_difference))
        }
        _ => format!("<figure>{}</figure>\n", code(&text_or_difference)),
    }
}

/// The lines of a difference, each in an element that says whether it is new or removed.
fn difference(text: &str) -> String {
    let lines = text.split_inclusive('\n').map(|line| match (line.as_bytes().first(), escape_html(line)) {
        (Some(b'+'), line) => format!("<ins>{line}</ins>"),
        (Some(b'-'), line) => format!("<del>{line}</del>"),
        (_, line) => line.into_owned(),
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(markdown: &str, expected: &str) {
        assert_eq!(render("build/5-cors", markdown).trim_end(), expected, "{markdown}");
    }

    #[test]
    fn headings_have_the_identifiers_that_links_expect() {
        let heading = |level: u8, id: &str, text: &str| {
            let link = format!(r##"<a class="anchor" href="#{id}" aria-label="Link to this section">#</a>"##);
            format!(r#"<h{level} id="{id}">{text} {link}</h{level}>"#)
        };
        check("# 5. CORS, and `GET /x`!", &heading(1, "5-cors-and-get-x", "5. CORS, and <code>GET /x</code>!"));
        let twice = format!("{}\n{}", heading(2, "same", "Same"), heading(2, "same-1", "Same"));
        check("## Same\n\n## Same", &twice);
    }

    #[test]
    fn links_lead_where_the_server_has_the_file() {
        check("[x](6-the-forged-form.md#a)", r##"<p><a href="/docs/build/6-the-forged-form#a">x</a></p>"##);
        check("[`x`](stages/5/)", "<p><code>x</code> (<code>docs/build/stages/5</code>)</p>");
        check("![x](../img/servers.svg)", r#"<p><img src="/docs/img/servers.svg" alt="x" /></p>"#);
        check("<https://a.example/>", r#"<p><a href="https://a.example/">https://a.example/</a></p>"#);
    }

    #[test]
    fn html_in_a_document_is_text() {
        check("<script>x</script>", "&lt;script&gt;x&lt;/script&gt;");
        check("a <b onclick=x>b</b>", "<p>a &lt;b onclick=x&gt;b&lt;/b&gt;</p>");
    }

    #[test]
    fn no_column_has_an_inline_style() {
        let page = render("1-run-it", "| a |\n| --: |\n| 1 |");
        assert!(page.contains("<td>1</td>") && page.ends_with("</table>\n</div>\n"), "{page}");
    }

    #[test]
    fn a_drawing_is_a_picture_with_its_text_below() {
        let block = "```mermaid\nflowchart LR\nA[\"a < b\"] --> B\n```\n";
        let page = render("1-run-it", &block.repeat(2));
        for id in ["drawing-1", "drawing-2"] {
            let words = format!("<desc id=\"{id}\">a &lt; b to B.</desc>");
            assert!(page.contains(&words) && page.contains(&format!("url(#{id}-head)")), "{page}");
        }
        let text = "<summary>The drawing as text, in Mermaid's notation</summary><pre";
        assert!(page.contains(text) && page.contains("A[&quot;a &lt; b&quot;] --&gt; B\n</code>"), "{page}");
    }

    #[test]
    fn code_is_escaped_and_says_which_file_it_is_from() {
        let pre = r#"<pre tabindex="0" role="group" aria-label="Code"><code>"#;
        let figure = |caption: &str, text: &str| format!("<figure>{caption}{pre}{text}</code></pre></figure>");
        check("```sh\na < \"b\"\n```", &figure("", "a &lt; &quot;b&quot;\n"));
        let caption = "<figcaption><code>src/main.rs</code></figcaption>";
        check("```rust src/main.rs\nx\n\ny\n```", &figure(caption, "x\n\ny\n"));
        check("```diff\n a\n-b\n+c\n```", &figure("", " a\n<del>-b\n</del><ins>+c\n</ins>"));
        let caption = "<figcaption>The drawing as text, in Mermaid's notation</figcaption>";
        check("```mermaid\npie\n```", &figure(caption, "pie\n"));
    }
}
