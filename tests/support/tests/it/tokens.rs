use memory_test_support::{Access, JwtKeys, Sqld, SqldOptions};

#[test]
fn the_server_honours_the_tokens() {
    let keys = JwtKeys::generate();
    let sqld = Sqld::start(SqldOptions::new().jwt(&keys));
    let status =
        |sql: &str, token: Option<&str>| sqld.query(sql, token).err().map_or(200, |error| error.status);
    let (write, read) = ("INSERT INTO t VALUES (1)", "SELECT * FROM t");
    let rw = keys.token(Access::ReadWrite);
    let ro = keys.token(Access::ReadOnly);

    assert_eq!(status("CREATE TABLE t (a)", Some(&rw)), 200);
    assert_eq!(status(write, Some(&rw)), 200);
    assert_eq!(status(read, Some(&ro)), 200);
    assert_eq!(status(write, Some(&ro)), 403);
    assert_eq!(status(read, Some(&keys.expired_token(Access::ReadWrite))), 401);
    assert_eq!(status(read, None), 401);
    assert_eq!(status(read, Some("no token at all")), 401);
    assert_eq!(status(read, Some(&JwtKeys::generate().token(Access::ReadWrite))), 401);
    // The harness itself asks with a token of its own.
    assert_eq!(sqld.scalar("SELECT count(*) FROM t"), 1);
}

#[test]
fn a_token_can_be_revoked_and_restored() {
    let keys = JwtKeys::generate();
    let token = keys.token(Access::ReadWrite);
    let sqld = Sqld::start(SqldOptions::new().jwt(&keys));
    sqld.restart_with_keys(Some(&JwtKeys::generate()));
    assert_eq!(sqld.query("SELECT 1", Some(&token)).unwrap_err().status, 401);
    sqld.restart_with_keys(Some(&keys));
    assert!(sqld.query("SELECT 1", Some(&token)).is_ok());
    sqld.restart_with_keys(None);
    assert!(sqld.query("SELECT 1", None).is_ok());
    assert_eq!(sqld.token(Access::ReadWrite), None);
}
