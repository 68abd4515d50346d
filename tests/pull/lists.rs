//! Lists of tags and searches that come page by page, or lie about that.

use enter::image::Reference;
use enter::registry::{self, Error, SearchOptions, Tags};

use super::Fixture;
use super::registry::Lie;

fn options(fixture: &Fixture, limit: usize) -> SearchOptions {
    SearchOptions {
        transfer: fixture.options.transfer.clone(),
        environment: fixture.options.environment.clone(),
        limit,
    }
}

fn tags(fixture: &Fixture, limit: usize) -> Result<Tags, Error> {
    let name = Reference::parse(&format!("{}/a", fixture.registry.host())).unwrap();
    registry::tags(&name, &options(fixture, limit))
}

/// A page, and the link to the next.
fn page(tags: &str, next: &str) -> Lie {
    let link = vec![("Link", format!("<{next}>; rel=\"next\""))];
    Lie::Answer(200, link, format!(r#"{{"name": "a", "tags": {tags}}}"#).into_bytes())
}

#[test]
fn pages_are_put_together() {
    let fixture = Fixture::new();
    fixture.registry.put("/v2/a/tags/list", "application/json", br#"{"name": "a", "tags": ["3", "1", null]}"#);
    assert!(matches!(tags(&fixture, 10), Err(Error::Answer { .. })), "null is no tag");
    fixture.registry.put("/v2/a/tags/list", "application/json", br#"{"name": "a", "tags": ["3", "1", "not a tag"]}"#);
    fixture.registry.lie("tags/list", 1, page(r#"["1", "2"]"#, "/v2/a/tags/list?last=2"));
    assert_eq!(tags(&fixture, 10).unwrap(), Tags { names: vec!["1".into(), "2".into(), "3".into()], more: false });
    fixture.registry.lie("tags/list", 1, page(r#"["1", "2"]"#, "list?last=2"));
    assert_eq!(tags(&fixture, 2).unwrap(), Tags { names: vec!["1".into(), "2".into()], more: true });
    fixture.registry.put("/v2/a/tags/list", "application/json", br#"{"name": "a", "tags": null}"#);
    assert_eq!(tags(&fixture, 2).unwrap(), Tags::default());
}

#[test]
fn lists_that_never_end_are_left() {
    for (tags_of, next, said) in [
        (r#"["1"]"#, "/v2/a/tags/list", "in a circle"),
        (r#"["1"]"#, "http://evil.invalid/v2/a/tags/list", "another host"),
        (r#"["1"]"#, "https://[", "address of its next page"),
    ] {
        let fixture = Fixture::new();
        fixture.registry.lie("tags/list", usize::MAX, page(tags_of, next));
        let error = tags(&fixture, 10).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    let fixture = Fixture::new();
    for number in 0..100 {
        fixture.registry.lie("tags/list", 1, page(r#"["1"]"#, &format!("/v2/a/tags/list?last={number}")));
    }
    let error = tags(&fixture, 10).unwrap_err().to_string();
    assert!(error.contains("nothing new"), "{error}");
    assert!(fixture.registry.count("tags/list") < 60);
}

#[test]
fn the_first_api_is_asked_before_the_list_of_all() {
    let fixture = Fixture::new();
    let host = fixture.registry.host();
    fixture.registry.put("/v2/_catalog", "application/json", br#"{"repositories": ["x/tool", "other", "../tool"]}"#);
    let names = || -> Vec<String> {
        registry::search(&host, "tool", &options(&fixture, 25)).unwrap().into_iter().map(|found| found.name).collect()
    };
    assert_eq!(names(), [format!("{host}/x/tool")]);
    fixture.registry.put("/v1/search", "application/json", br#"{"results": [{"name": "y/tool", "star_count": 3}]}"#);
    assert_eq!(names(), [format!("{host}/y/tool")]);
    assert!(fixture.registry.log().iter().any(|request| request.line == "GET /v1/search?q=tool&n=25"));
}
